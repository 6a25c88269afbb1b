package cluster

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"strings"
)

// SetEnv changes variables of a process for its next start.
func (c *Cluster) SetEnv(name string, env map[string]string) error {
	pr, err := c.process(name)
	if err != nil {
		return err
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	changed := maps.Clone(pr.prog.Env)
	if changed == nil {
		changed = map[string]string{}
	}
	maps.Copy(changed, env)
	pr.prog.Env = changed
	return nil
}

// AddLike defines one more process that is run as another one is, at an HTTP address of its own
// and with other variables.
func (c *Cluster) AddLike(name, like, addr string, env map[string]string) error {
	pr, err := c.process(like)
	if err != nil {
		return err
	}
	pr.mu.Lock()
	prog := pr.prog
	pr.mu.Unlock()
	prog.HTTP, prog.Env = addr, maps.Clone(prog.Env)
	maps.Copy(prog.Env, env)
	c.Add(name, prog)
	return nil
}

// Env returns a variable that a process is started with.
func (c *Cluster) Env(name, variable string) string {
	pr, err := c.process(name)
	if err != nil {
		return ""
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return pr.prog.Env[variable]
}

// Tool runs a command of a process's program with the process's variables and others, and returns its
// standard output.
func (c *Cluster) Tool(ctx context.Context, name string, env map[string]string, args ...string) (string, error) {
	pr, err := c.process(name)
	if err != nil {
		return "", err
	}
	pr.mu.Lock()
	all := maps.Clone(pr.prog.Env)
	pr.mu.Unlock()
	maps.Copy(all, env)
	cmd := exec.CommandContext(ctx, pr.bin, args...)
	cmd.Dir = pr.dir
	for k, v := range all {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args[:min(2, len(args))], " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// PID returns the process id of a running process, 0 for one that does not run.
func (c *Cluster) PID(name string) int {
	pr, err := c.process(name)
	if err != nil || !pr.running() {
		return 0
	}
	cmd, _ := pr.state()
	return cmd.Process.Pid
}

// Ready returns nil when a process is ready now, else the reason why not.
func (c *Cluster) Ready(ctx context.Context, name string) error {
	pr, err := c.process(name)
	if err != nil {
		return err
	}
	return pr.ready(ctx)
}

// Launch starts a process and does not wait until it is ready.
func (c *Cluster) Launch(name string) error {
	pr, err := c.process(name)
	if err != nil || pr.running() {
		return err
	}
	return pr.start()
}

// SetBinary changes the program file of a process for its next start.
func (c *Cluster) SetBinary(name, file string) error {
	pr, err := c.process(name)
	if err != nil {
		return err
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.bin = file
	return nil
}
