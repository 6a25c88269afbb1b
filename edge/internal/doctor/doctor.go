// Package doctor examines the machine of a gateway: its disk, clock, hub, certificates, files, ports and
// limits, and gives a verdict on each with the measured value and what to do. It needs no running gateway
// and does not disturb one: it takes no lock, binds no port of a running gateway and does not connect to
// the hub in its name.
//
// Each check is a function of what a probe has found. Examine blocks for seconds: it writes to the disk
// and dials the hub.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Verdict is the outcome of one check.
type Verdict string

// Verdicts, worse ones later. Skip is a check that could not be made; it says why.
const (
	Skip Verdict = "skip"
	OK   Verdict = "ok"
	Warn Verdict = "warn"
	Fail Verdict = "fail"
)

// Result is one line of the report.
type Result struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Value   string  `json:"value"`            // as measured
	Advice  string  `json:"advice,omitempty"` // what to do; empty if nothing is
}

// Report is what Examine found.
type Report struct {
	Gateway string   `json:"gateway,omitempty"`
	Verdict Verdict  `json:"verdict"` // the worst of all checks
	Checks  []Result `json:"checks"`
}

// Port is an address on which the gateway listens.
type Port struct {
	Variable string
	Addr     string // host:port; empty: none
}

// File is a file that a variable, or the gateway itself, names.
type File struct {
	What string // a variable such as EDGE_TLS_KEY_FILE, or a description
	Name string
}

// Options say what to examine. DataDir is required.
type Options struct {
	Gateway  string // id; empty: it has none yet
	Settings error  // what is wrong with the settings; nil: nothing
	DataDir  string
	Dir      string // of this gateway, below DataDir
	Store    func() (Room, error)

	HubURL    string
	HubCAFile string
	HubKey    bool // the gateway is enrolled
	// TryHub connects in the name of the gateway, with its key; only called while no gateway runs.
	TryHub func(ctx context.Context) error

	Certificates []File
	Secrets      []File // that only their owner may read
	Key          File   // of the certificate that devices see; its group may read it
	Ports        []Port
	MetricsAddr  string // of the running gateway; empty: it serves none

	Connections int     // that the settings allow, MQTT and NATS together
	Rate        float64 // expected readings a second; 0: not given
	Now         time.Time
}

// Examine makes all checks, in the order of the report.
func Examine(ctx context.Context, o Options) Report {
	running := findRunning(ctx, o)
	room := o.room()
	checks := []Result{judgeSettings(o), judgeRunning(running), judgeDirectory(probeDirectory(o.DataDir))}
	fs, fsErr := probeFilesystem(o.DataDir)
	checks = append(checks, judgeFilesystem(fs, fsErr), judgeSync(probeSync(ctx, o.DataDir), fs),
		judgeRoom(room), judgeHorizon(running, room, o.Rate), judgeClock(probeClock(o.Now)))
	checks = append(checks, examineHub(ctx, o, running)...)
	checks = append(checks, examineFiles(o)...)
	for _, p := range o.Ports {
		if p.Addr != "" {
			checks = append(checks, judgePort(p, probePort(ctx, p.Addr, running), running))
		}
	}
	limit, err := openFiles(running.pid)
	checks = append(checks, judgeOpenFiles(limit, err, o.Connections), judgeMemory(probeMemory(running)))
	return Report{Gateway: o.Gateway, Verdict: worst(checks), Checks: checks}
}

func worst(all []Result) Verdict {
	rank := map[Verdict]int{Warn: 1, Fail: 2}
	v := OK
	for _, r := range all {
		if rank[r.Verdict] > rank[v] {
			v = r.Verdict
		}
	}
	return v
}

// WriteText writes one line a check.
func (r Report) WriteText(w io.Writer) error {
	for _, c := range r.Checks {
		line := fmt.Sprintf("%-4s  %-23s %s", c.Verdict, c.Check, c.Value)
		if c.Advice != "" {
			line += "; " + c.Advice
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON writes the report as one object.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

func judgeSettings(o Options) Result {
	r := Result{Check: "settings", Verdict: OK, Value: "usable"}
	if o.Settings != nil {
		r.Verdict, r.Value, r.Advice = Fail, o.Settings.Error(), "the gateway will not start before that is set"
	}
	return r
}
