package cluster

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// packages are the programs of a cluster, by the name of the binary: the last part of the path.
var packages = map[string]string{
	"edge": "./edge", "bridge": "./bridge", "core": "./core", "portal": "./portal",
	"sim": "./sim", "devkafka": "./test/faults/cmd/devkafka", "natshub": "./test/faults/cmd/natshub",
}

// profiler is the source that is added to a program that can be profiled.
//
//go:embed profile.go.txt
var profiler []byte

// BuildOptions say how the programs are compiled.
type BuildOptions struct {
	// Profile adds a CPU profiler to every program, without touching its source:
	// see Cluster.Profile.
	Profile bool
}

// Build compiles the programs into dir. It must be called inside the module.
func Build(ctx context.Context, dir string, o BuildOptions) error {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("finding the module: %w", err)
	}
	module := strings.TrimSpace(string(out))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	flags := []string{"-ldflags=-w"} // linking is faster without debug information
	if o.Profile {
		overlay, err := writeOverlay(module, dir)
		if err != nil {
			return err
		}
		flags = append(flags, "-overlay", overlay)
	}
	// One command for all: shared packages are compiled once, and linking runs in parallel.
	args := slices.Concat([]string{"build"}, flags, []string{"-o", dir + string(filepath.Separator)}, slices.Sorted(maps.Values(packages)))
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return nil
}

// writeOverlay returns a file that tells the compiler of one more source file in each
// program.
func writeOverlay(module, dir string) (string, error) {
	source := filepath.Join(dir, "profile.go")
	if err := os.WriteFile(source, profiler, 0o600); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, pkg := range packages {
		replace[filepath.Join(module, pkg, "profile_of_plant.go")] = source
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, b, 0o600)
}

// Ports are below the system's ephemeral range, so that no outgoing connection uses one
// between a stop and a start.
const firstPort, lastPort = 12_000, 32_000

// freePorts returns n free ports.
func freePorts(n int) ([]string, error) {
	var ports []string
	port := firstPort + rand.N(lastPort-firstPort)
	for range lastPort - firstPort {
		if len(ports) == n {
			return ports, nil
		}
		if port++; port >= lastPort {
			port = firstPort
		}
		ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue // taken
		}
		if err := ln.Close(); err != nil {
			return nil, err
		}
		ports = append(ports, strconv.Itoa(port))
	}
	return nil, fmt.Errorf("found %d free ports, want %d", len(ports), n)
}

// FreeAddresses returns n unused loopback addresses.
func FreeAddresses(n int) ([]string, error) {
	ports, err := freePorts(n)
	for i, p := range ports {
		ports[i] = "127.0.0.1:" + p
	}
	return ports, err
}
