package cluster

// SetBinary makes the next starts of a process run another program file.
func (p *Plant) SetBinary(name, file string) error {
	pr, err := p.process(name)
	if err != nil {
		return err
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	pr.bin = file
	return nil
}
