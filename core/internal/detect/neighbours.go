package detect

import "slices"

// ForgetPeers forgets how far a sensor is from its neighbours: they are others from now on.
func (d *Device) ForgetPeers(sensor string) {
	if i := slices.Index(d.names, sensor); i >= 0 {
		d.streams[i].Peer = peer{}
	}
}
