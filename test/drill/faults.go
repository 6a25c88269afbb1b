package main

import (
	"slices"

	"industrial-iot-monitor/test/drill/rig"
)

// faults is the table of everything the drill breaks. Faults with the same site are adjacent:
// the quick drill tries them on one cluster.
func faults() []rig.Fault {
	return slices.Concat(
		gatewayFaults(),
		storageFaults(),
		lineFaults(),
		hubFaults(),
		bridgeFaults(),
		twinFaults(),
		enrolFaults(),
		poisonFaults(),
		liveFaults(),
		takeoverFaults(),
		coreFaults(),
		storeFaults(),
		redisFaults(),
		historyFaults(),
		brokerFaults(),
		kafkaFaults(),
		offlineFaults(),
	)
}

// common is the site of most faults: all readings pass lines and a proxy that can be broken.
func common() rig.Site { return rig.Site{Lines: true, Proxy: true} }
