package cluster

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// packages are the programs of a cluster, by the name of the binary: the last part of the path.
var packages = map[string]string{
	"edge": "./edge", "bridge": "./bridge", "core": "./core", "portal": "./portal",
	"sim": "./sim", "devkafka": "./test/faults/cmd/devkafka", "natshub": "./test/faults/cmd/natshub",
}

// Build compiles the programs of a cluster into dir. It must be called inside the module.
func Build(ctx context.Context, dir string) error {
	return BuildPackages(ctx, dir, slices.Sorted(maps.Values(packages))...)
}

// BuildPackages compiles programs, such as "./deploy/allinone", into dir. It must be called inside
// the module.
func BuildPackages(ctx context.Context, dir string, names ...string) error {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("finding the module: %w", err)
	}
	module := strings.TrimSpace(string(out))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	// -w: linking is faster without debug information. One command for all: shared packages are compiled once, and linking runs in parallel.
	args := append([]string{"build", "-ldflags=-w", "-o", dir + string(filepath.Separator)}, names...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return nil
}
