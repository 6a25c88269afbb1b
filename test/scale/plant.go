package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/freeport"
)

// programs are the processes under test.
var programs = []string{cluster.Bridge, cluster.Core, cluster.Portal}

// plant is the product and the processes that play gateways.
type plant struct {
	o       options
	cluster *cluster.Cluster
	players []string // names
	http    []string // their addresses
	watch   *watch
	busy    string // id of the busy gateway, the last one
}

// newPlant builds the programs and chooses the ports.
func newPlant(ctx context.Context, o options) (*plant, error) {
	c, err := cluster.New(ctx, cluster.Options{Dir: o.Dir, Gateways: 1, Env: map[string]string{
		"OPS_PPROF": "true", "LOG_LEVEL": "warn", "BRIDGE_LEAF_COMPRESSION": o.Links,
	}})
	if err != nil {
		return nil, err
	}
	p := &plant{o: o, cluster: c, busy: gatewayID(o.Gateways - 1)}
	if p.http, err = freeport.Addresses(o.Processes); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	leaf := strings.TrimPrefix(c.Env(cluster.Gateway(0), "EDGE_HUB_URL"), "nats-leaf://")
	for i := range o.Processes {
		name, first, next := "gateways-"+strconv.Itoa(i+1), i*o.Gateways/o.Processes, (i+1)*o.Gateways/o.Processes
		c.Add(name, cluster.Program{HTTP: p.http[i], Args: []string{
			playFlag, "-first=" + strconv.Itoa(first), "-count=" + strconv.Itoa(next-first), "-leaf=" + leaf,
			"-http=" + p.http[i], "-dir=" + filepath.Join(o.Dir, name),
		}})
		if err := c.SetBinary(name, self); err != nil {
			return nil, err
		}
		p.players = append(p.players, name)
	}
	return p, nil
}

// start starts the product without gateways.
func (p *plant) start(ctx context.Context) error {
	return p.cluster.Start(ctx, append([]string{cluster.Kafka}, programs...)...)
}

func (p *plant) close() error {
	var errs []error
	if p.watch != nil {
		errs = append(errs, p.watch.close())
	}
	for _, name := range p.players {
		if p.cluster.Running(name) {
			errs = append(errs, p.cluster.Kill(name)) // stopping hundreds of servers in order proves nothing
		}
	}
	return errors.Join(append(errs, p.cluster.Close())...)
}

// order sends an order to every process that plays gateways, at the same time.
func (p *plant) order(ctx context.Context, path string, form url.Values) error {
	var all errgroup.Group
	for _, addr := range p.http {
		all.Go(func() error {
			_, err := fetch(ctx, http.MethodPost, "http://"+addr+path+"?"+form.Encode())
			return err
		})
	}
	return all.Wait()
}

// pace sets the pace of a gateway, or of all of them.
func (p *plant) pace(ctx context.Context, gateway string, every time.Duration, readings int) error {
	return p.order(ctx, "/pace", url.Values{"gateway": {gateway}, "every": {every.String()}, "readings": {strconv.Itoa(readings)}})
}

// counts returns how many readings each gateway stored.
func (p *plant) counts(ctx context.Context) (map[string]uint64, error) {
	return gather[uint64](ctx, p, "/count")
}

// gather collects a map from every process that plays gateways.
func gather[V any](ctx context.Context, p *plant, path string) (map[string]V, error) {
	all := map[string]V{}
	for _, addr := range p.http {
		data, err := fetch(ctx, http.MethodGet, "http://"+addr+path)
		if err != nil {
			return nil, err
		}
		var some map[string]V
		if err := json.Unmarshal(data, &some); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		maps.Copy(all, some)
	}
	return all, nil
}

// listed is a gateway in the portal's list, as far as it is needed here.
type listed struct {
	Gateway string `json:"gateway"`
	Silent  bool   `json:"silent"`
	AgeMS   *int64 `json:"age_ms"`
	Ledger  *struct {
		AgeMS      int64 `json:"age_ms"`
		Difference int64 `json:"difference"`
		Total      struct {
			Committed uint64 `json:"committed"`
		} `json:"total"`
	} `json:"ledger"`
}

const gatewaysPath = "/api/v1/gateways"

// list returns the portal's list of gateways.
func (p *plant) list(ctx context.Context) (map[string]listed, error) {
	data, err := fetch(ctx, http.MethodGet, p.cluster.PortalURL()+gatewaysPath)
	if err != nil {
		return nil, err
	}
	var body struct {
		Items []listed `json:"items"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, fmt.Errorf("%s: %w", gatewaysPath, err)
	}
	out := make(map[string]listed, len(body.Items))
	for _, g := range body.Items {
		out[g.Gateway] = g
	}
	return out, nil
}

// pollEvery is how often the portal's list is read while something is awaited, which is the
// resolution of the times measured so.
const pollEvery = 200 * time.Millisecond

// await reads the portal's list until enough of the gateways meet a condition, and returns how long
// that took since a time.
func (p *plant) await(ctx context.Context, what string, since time.Time, met func(listed) bool) (time.Duration, error) {
	n := 0 // at the last successful look
	for {
		all, err := p.list(ctx)
		if err == nil {
			n = 0
		}
		for _, g := range all {
			if met(g) {
				n++
			}
		}
		if err == nil && n >= p.o.Gateways {
			return time.Since(since), nil
		}
		select {
		case <-ctx.Done():
			return 0, errors.Join(fmt.Errorf("%d of %d gateways are %s after %s: %w", n, p.o.Gateways, what, seconds(time.Since(since)), ctx.Err()), err)
		case <-time.After(pollEvery):
		}
	}
}

var client = &http.Client{Timeout: 30 * time.Second}

// fetch returns the body of a successful request.
func fetch(ctx context.Context, method, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %.300s", req.URL.Path, resp.StatusCode, data)
	}
	return data, err
}
