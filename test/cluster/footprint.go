package cluster

import (
	"fmt"
	"os"
	"strconv"
)

// Footprint is what a process holds now.
type Footprint struct {
	RSS   int64 // bytes
	Files int   // open file descriptors
}

// Footprint returns what a running process holds.
func (c *Cluster) Footprint(name string) (Footprint, error) {
	pr, err := c.process(name)
	if err != nil {
		return Footprint{}, err
	}
	if !pr.running() {
		return Footprint{}, fmt.Errorf("%s is not running", name)
	}
	cmd, _ := pr.state()
	return ProcessFootprint(cmd.Process.Pid)
}

// ProcessFootprint reads from /proc what a running process holds.
func ProcessFootprint(pid int) (Footprint, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	rss, err := statusBytes(dir, "VmRSS:")
	if err != nil {
		return Footprint{}, err
	}
	files, err := os.ReadDir(dir + "/fd")
	return Footprint{RSS: rss, Files: len(files)}, err
}
