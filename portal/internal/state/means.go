package state

// Means returns the means of a building over the last minute, by parameter.
func (p *Plant) Means(building string) map[string]Mean {
	now := p.Now()
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.windows.means(building, now-meansOver, now)
}
