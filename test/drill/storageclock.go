package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"industrial-iot-monitor/test/cluster"
	"industrial-iot-monitor/test/drill/rig"
)

// clockVariable is the number of seconds that a gateway built by buildShifted adds.
const clockVariable = "DRILL_CLOCK_SECONDS"

// clock is a wrong clock.
type clock struct {
	name  string
	shift func(now time.Time) time.Duration
}

func clocks() []clock {
	return []clock{
		{"ten years ahead", func(now time.Time) time.Duration { return now.AddDate(10, 0, 0).Sub(now) }},
		{"an hour behind", func(time.Time) time.Duration { return -time.Hour }},
		{"1970", func(now time.Time) time.Duration { return time.Unix(60, 0).Sub(now) }},
	}
}

// canShiftClock builds the gateway with a shifted clock before there is any load, because it
// compiles everything unless that is in the build cache.
func canShiftClock() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	_, err := buildShifted(ctx)
	return err
}

// shiftedDir is shared by all drills, so that the build cache is used.
func shiftedDir() string { return filepath.Join(os.TempDir(), "drill-clock") }

// shiftClock starts gateways with wrong clocks, and then with the right one again.
func shiftClock(ctx context.Context, r *rig.Round) (err error) {
	name := cluster.Gateway(r.Rand.IntN(r.Site.Gateways))
	before, err := r.Metric(ctx, cluster.Core, "core_dead_letters_total")
	if err != nil {
		return err
	}
	if err := r.SetBinary(name, filepath.Join(shiftedDir(), "edge")); err != nil {
		return err
	}
	for k := range r.Times {
		c := clocks()[k%len(clocks())]
		if err := restartShifted(ctx, r, name, c.shift(time.Now())); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		r.Happened()
		if err := r.Moment(ctx, time.Second, 2*time.Second); err != nil {
			return err
		}
		skew := time.UnixMilli(r.Status(name).Value.Time).Sub(r.Status(name).At)
		r.Check((skew-c.shift(time.Now())).Abs() < 10*time.Second, "%s: the heartbeat's clock is off by %s", c.name, skew)
	}
	if err := restartShifted(ctx, r, name, 0); err != nil {
		return err
	}
	after, err := r.Metric(ctx, cluster.Core, "core_dead_letters_total")
	r.Check(after == before, "core refused %.0f readings because of their time", after-before)
	return err
}

// restartShifted starts a gateway again with its clock shifted and waits for its readings.
func restartShifted(ctx context.Context, r *rig.Round, name string, shift time.Duration) error {
	if err := r.Kill(name); err != nil {
		return err
	}
	if err := r.SetEnv(name, map[string]string{clockVariable: strconv.FormatInt(int64(shift.Seconds()), 10)}); err != nil {
		return err
	}
	if err := restart(ctx, r, name, "ready with a wrong clock", 0); err != nil {
		return err
	}
	_, err := r.AwaitNew(ctx, name)
	return err
}

// shifting is the file added to package time.
const shifting = `package time

import "syscall"

var drillShift = func() int64 {
	s, _ := syscall.Getenv("` + clockVariable + `")
	n, err := atoi(s)
	if err != nil {
		return 0
	}
	return int64(n)
}()
`

var errOtherTime = errors.New("package time has changed: Now does not call runtimeNow")

// buildShifted builds a gateway whose clock can be shifted. Go programs get the time from the
// kernel and not from the C library (so faketime does not work); therefore package time is
// compiled again, from a changed copy of the toolchain's.
func buildShifted(ctx context.Context) (program string, err error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("finding the toolchain: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		return "", err
	}
	const reads = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if !bytes.Contains(text, []byte(reads)) {
		return "", errOtherTime
	}
	text = bytes.Replace(text, []byte(reads), []byte(reads+"\tsec += drillShift\n"), 1)
	work := shiftedDir()
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(source, "time.go"):  filepath.Join(work, "time.go"),
		filepath.Join(source, "shift.go"): filepath.Join(work, "shift.go"),
	}})
	if err != nil {
		return "", err
	}
	err = os.MkdirAll(work, 0o750)
	for name, content := range map[string][]byte{"time.go": text, "shift.go": []byte(shifting), "overlay.json": overlay} {
		err = errors.Join(err, os.WriteFile(filepath.Join(work, name), content, 0o600))
	}
	if err != nil {
		return "", err
	}
	program = filepath.Join(work, "edge")
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-w", "-overlay", filepath.Join(work, "overlay.json"), "-o", program, "industrial-iot-monitor/edge")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building a gateway with a shifted clock: %w\n%s", err, out)
	}
	return program, nil
}
