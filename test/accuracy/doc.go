// Package accuracy holds the alarms of core against the truth: the simulator's labelled
// faults go through a real core and Kafka, and every excursion over a limit must be one
// alarm, from its first reading beyond the limit to the first one back inside the
// deadband, and nothing else may be one. It holds nothing but that test.
package accuracy
