package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// playFlag is the first argument of a process that plays gateways for another one.
const playFlag = "-play"

// playOptions of a process that plays gateways.
type playOptions struct {
	First, Count int    // numbers of the gateways
	Leaf         string // of the hub
	HTTP         string
	Dir          string
}

func parsePlay(args []string) (o playOptions, err error) {
	fs := flag.NewFlagSet("scale "+playFlag, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&o.First, "first", 0, "")
	fs.IntVar(&o.Count, "count", 0, "")
	fs.StringVar(&o.Leaf, "leaf", "", "")
	fs.StringVar(&o.HTTP, "http", "", "")
	fs.StringVar(&o.Dir, "dir", "", "")
	return o, fs.Parse(args)
}

// player runs some gateways and takes orders over HTTP.
type player struct {
	o        playOptions
	gateways []*gateway
	ready    atomic.Bool
}

// play runs gateways until ctx ends.
func play(ctx context.Context, o playOptions) (err error) {
	p := &player{o: o, gateways: make([]*gateway, o.Count)}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", o.HTTP)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: p.routes(), ReadHeaderTimeout: 10 * time.Second}
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { _ = srv.Serve(ln) }) // ends with Close
	defer func() { err = errors.Join(err, srv.Close()) }()
	defer p.stop()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := p.start(ctx); err != nil {
		return err
	}
	part := func(d time.Duration) time.Duration { return rand.N(d) + 1 }
	for _, g := range p.gateways {
		work.Go(func() { g.beat(ctx, part(time.Second)) })
		work.Go(func() { g.work(ctx, part) })
	}
	p.ready.Store(true)
	<-ctx.Done()
	return nil
}

// start starts the gateways, a few at a time, each with one pack.
func (p *player) start(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(4)
	for i := range p.gateways {
		all.Go(func() error {
			g, err := newGateway(ctx, p.o, p.o.First+i)
			if err == nil {
				p.gateways[i] = g
				g.store(ctx, 1)
			}
			return err
		})
	}
	return all.Wait()
}

func (p *player) stop() {
	var all errgroup.Group
	all.SetLimit(16)
	for _, g := range p.gateways {
		if g != nil {
			all.Go(func() error { g.stop(); return nil })
		}
	}
	_ = all.Wait() // no errors
}

func (p *player) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !p.ready.Load() {
			http.Error(w, "gateways are starting", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("POST /pace", p.setPace)
	mux.HandleFunc("POST /once", func(_ http.ResponseWriter, r *http.Request) {
		for _, g := range p.gateways {
			g.store(r.Context(), 1)
		}
	})
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, _ *http.Request) {
		out := map[string]uint64{}
		for _, g := range p.gateways {
			out[g.id] = g.readings()
		}
		reply(w, out)
	})
	mux.HandleFunc("GET /account", p.account)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.Handle("GET /debug/pprof/heap", pprof.Handler("heap"))
	return mux
}

// setPace sets the pace of one gateway, or of all of them.
func (p *player) setPace(w http.ResponseWriter, r *http.Request) {
	every, err := time.ParseDuration(r.FormValue("every"))
	readings, err2 := strconv.Atoi(r.FormValue("readings"))
	if err := errors.Join(err, err2); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, g := range p.gateways {
		if one := r.FormValue("gateway"); one != "" && one != g.id {
			continue
		}
		select {
		case g.change <- pace{every, readings}:
		case <-r.Context().Done():
			return
		}
	}
}

// account replies the timestamps of all readings stored so far by device.
func (p *player) account(w http.ResponseWriter, _ *http.Request) {
	out := map[string][]int64{}
	for _, g := range p.gateways {
		stored, err := g.account()
		if err != nil {
			http.Error(w, g.id+": "+err.Error(), http.StatusInternalServerError)
			return
		}
		maps.Copy(out, stored)
	}
	reply(w, out)
}

func reply(w http.ResponseWriter, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(data) // an error means that the client left
}
