// Command devkafka runs the embedded Kafka-compatible broker as a process of its own,
// so that load tests can tell its CPU from that of the programs, and stop and start it.
package main

import (
	"flag"
	"fmt"
	"os"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
)

func main() { os.Exit(run()) }

func run() int {
	addr := flag.String("addr", "127.0.0.1:9092", "`address` to listen on")
	data := flag.String("data", "./data/devkafka", "`directory` of the records")
	flag.Parse()
	if err := serve(*addr, *data); err != nil {
		fmt.Fprintln(os.Stderr, "devkafka:", err)
		return 1
	}
	return 0
}

func serve(addr, data string) error {
	log, err := ops.NewLogger(ops.LogConfig{Level: "info", Format: "text"}, os.Stderr)
	if err != nil {
		return err
	}
	ctx, cancel := lifecycle.SignalContext()
	defer cancel()
	b, err := devkafka.Start(devkafka.Options{Addr: addr, DataDir: data, Log: log})
	if err != nil {
		return err
	}
	log.Info("embedded kafka listens", "addr", b.Addr())
	<-ctx.Done()
	return b.Close()
}
