// Package accuracy compares core's alarms with the truth: the simulator's labelled faults go
// through a real core and Kafka. Every excursion beyond a limit must be exactly one alarm,
// from its first reading beyond the limit to the first one back inside the deadband, and
// nothing else may be an alarm. It contains only that test.
package accuracy
