// Command natshub runs a plain NATS server as a separate hub, so that tests can run several
// bridges at one hub and stop the hub without a bridge.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"industrial-iot-monitor/internal/lifecycle"
)

func main() { os.Exit(run()) }

func run() int {
	addr := flag.String("addr", "127.0.0.1:4230", "`address` for clients")
	leaf := flag.String("leaf", "127.0.0.1:7422", "`address` for gateways")
	flag.Parse()
	if err := serve(*addr, *leaf); err != nil {
		fmt.Fprintln(os.Stderr, "natshub:", err)
		return 1
	}
	return 0
}

func serve(addr, leaf string) error {
	o := &server.Options{ServerName: "hub", NoSigs: true, MaxPayload: 8 << 20, PingInterval: 5 * time.Second, MaxPingsOut: 2}
	o.LeafNode.NoAdvertise, o.LeafNode.IsolateLeafnodeInterest = true, true
	var err error
	if o.Host, o.Port, err = split(addr); err != nil {
		return err
	}
	if o.LeafNode.Host, o.LeafNode.Port, err = split(leaf); err != nil {
		return err
	}
	ctx, cancel := lifecycle.SignalContext()
	defer cancel()
	srv, err := server.NewServer(o)
	if err != nil {
		return err
	}
	srv.ConfigureLogger()
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		srv.Shutdown()
		return fmt.Errorf("not ready on %s and %s", addr, leaf)
	}
	<-ctx.Done()
	srv.Shutdown()
	srv.WaitForShutdown()
	return nil
}

func split(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = net.DefaultResolver.LookupPort(context.Background(), "tcp", text)
	if err == nil && port == 0 {
		err = fmt.Errorf("%s: want a port", addr)
	}
	return host, port, err
}
