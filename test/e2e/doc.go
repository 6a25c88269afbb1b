// Package e2e runs the real programs as processes and sends readings through all of them
// (make e2e). It is empty without the build tag e2e.
//
// TEST_KAFKA_BROKERS names a running Kafka; without it the tests start the embedded
// broker as a process. E2E_DURATION (default 1m) is how long the devices send.
package e2e
