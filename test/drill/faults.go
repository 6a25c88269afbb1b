package main

import (
	"slices"

	"industrial-iot-monitor/test/drill/rig"
)

// faults is the table of everything that the drill breaks. Faults on the same kind of
// site stand together: the quick drill tries them on one cluster.
func faults() []rig.Fault {
	return slices.Concat(
		gatewayFaults(),
		storageFaults(),
		lineFaults(),
		hubFaults(),
		bridgeFaults(),
		twinFaults(),
		poisonFaults(),
		liveFaults(),
		takeoverFaults(),
		coreFaults(),
		brokerFaults(),
		kafkaFaults(),
		offlineFaults(),
	)
}

// common is the site of every fault that needs no other: lines and a proxy that can be
// broken stand in the way of all readings.
func common() rig.Site { return rig.Site{Lines: true, Proxy: true} }
