package cluster

// SetBinary makes the next starts of a process run another program file.
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
