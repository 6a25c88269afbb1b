// Command devkafka runs the embedded Kafka-compatible broker as a separate process, so that
// load tests can measure its CPU apart, stop and start it, and inject faults.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"

	"industrial-iot-monitor/internal/devkafka"
	"industrial-iot-monitor/internal/lifecycle"
	"industrial-iot-monitor/internal/ops"
)

func main() { os.Exit(run()) }

func run() int {
	var o devkafka.Options
	flag.StringVar(&o.Addr, "addr", "127.0.0.1:9092", "`address` to listen on")
	flag.StringVar(&o.DataDir, "data", "./data/devkafka", "`directory` of the records")
	flag.IntVar(&o.Nodes, "nodes", 1, "`number` of brokers in the cluster")
	flag.Int64Var(&o.Retention, "retention", devkafka.DefaultRetention, "`bytes` at which a partition loses its oldest records")
	at := flag.String("control", "", "`address` for fault injection; empty: none")
	flag.Parse()
	if err := serve(o, *at); err != nil {
		fmt.Fprintln(os.Stderr, "devkafka:", err)
		return 1
	}
	return 0
}

func serve(o devkafka.Options, at string) error {
	log, err := ops.NewLogger(ops.LogConfig{Level: "info", Format: "text"}, os.Stderr)
	if err != nil {
		return err
	}
	o.Log = log
	ctx, cancel := lifecycle.SignalContext()
	defer cancel()
	b, err := devkafka.Start(o)
	if err != nil {
		return err
	}
	log.Info("embedded kafka listens", "addr", b.Addr())
	if at == "" {
		<-ctx.Done()
		return b.Close()
	}
	srv := control(at, b.Cluster())
	failed := make(chan error, 1)
	go func() { failed <- srv.ListenAndServe() }()
	select {
	case <-ctx.Done():
		err = srv.Close()
		if e := <-failed; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	case err = <-failed:
	}
	return errors.Join(err, b.Close())
}
