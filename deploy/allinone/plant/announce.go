package plant

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// introduce prints the addresses of all parts.
func (p *Plant) introduce() {
	w := tabwriter.NewWriter(p.out, 0, 4, 2, ' ', 0)
	for i, b := range buildings {
		fmt.Fprintf(w, "gateway %s\t%s\tNATS %s\tMQTT %s\n", b.gateway, b.name, p.gateways[i].NATSAddr(), p.gateways[i].MQTTAddr())
	}
	fmt.Fprintf(w, "hub\t\tNATS %s\tleaf nodes %s\n", p.cfg.Parts.Bridge.HubAddr, p.cfg.Parts.Bridge.LeafAddr)
	if p.kafka != nil {
		fmt.Fprintf(w, "kafka\t\t%s\tembedded, for the demo only\n", p.kafka.Addr())
	} else {
		fmt.Fprintf(w, "kafka\t\t%s\n", strings.Join(p.cfg.Brokers, ","))
	}
	fmt.Fprintf(w, "portal\t\t%s\tWebSocket %s%s\n", p.portal.URL(), p.portal.WSAddr(), p.cfg.Parts.Portal.WebSocketPath)
	if p.sim != nil {
		fmt.Fprintf(w, "devices\t\t%d simulated\tone reading each %s\n", p.cfg.Devices, p.cfg.Interval)
	}
	_ = w.Flush() // a failed write to the terminal has no other reader
}

// announceReady waits until a reading can reach the browsers and prints that once.
func (p *Plant) announceReady(ctx context.Context) {
	start := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	reported := start
	for err := p.Ready(); err != nil; err = p.Ready() {
		if time.Since(reported) > 10*time.Second {
			reported = time.Now()
			fmt.Fprintf(p.out, "not ready yet: %v\n", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	fmt.Fprintf(p.out, "ready after %.1f s: %s\n", time.Since(start).Seconds(), p.portal.URL())
	fmt.Fprintf(p.out, "to see an alarm, be a device that is too hot:\n  %s\n", p.hotDevice())
}

// hotDevice returns a command that publishes one reading above the threshold.
func (p *Plant) hotDevice() string {
	host, port, _ := strings.Cut(p.gateways[0].MQTTAddr(), ":")
	return fmt.Sprintf(`mosquitto_pub -h %s -p %s -q 1 -t devices/device_9000/telemetry -m '{"device_id":"device_9000","timestamp":'$(date +%%s)000',`+
		`"location":{"building":"A栋","floor":9,"room":"901"},"sensors":{"temperature":{"value":%.1f,"unit":"°C"}}}'`,
		host, port, p.cfg.Parts.Core.TemperatureHigh+12)
}
