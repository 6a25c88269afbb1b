package state

// Means returns the means of a building over the last minute, by parameter.
func (m *Model) Means(building string) map[string]Mean {
	now := m.Now()
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.windows.means(building, now-meansOver, now)
}
