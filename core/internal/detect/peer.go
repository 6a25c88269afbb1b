package detect

import "math"

// peer is how far a sensor is from its neighbours in the room.
type peer struct {
	Short, Mid, Long float64 // means of the distance
	Count            int32
	Apart            float32 // strength of the newest move away; -1: the neighbours say nothing
	Moves, Far       limits  // of Short around Mid, of Long

	// Level and Distance are means of days, Own and Off how far the sensor and its distance are from them.
	Level, Distance float64
	Own, Off        float32
}

// learn adds a value and its distance from the neighbours.
func (p *peer) learn(x, distance, gap float64) {
	p.Count++
	first := 1 / float64(p.Count)
	p.Short += (distance - p.Short) * max(gap/(peerShort+gap), first)
	p.Long += (distance - p.Long) * max(gap/(peerLong+gap), first)
	if p.Moves.Since != 0 || p.Far.Since != 0 {
		return // what is unusual says nothing about what is usual
	}
	slow := max(gap/(day+gap), first)
	p.Level += (x - p.Level) * slow
	p.Distance += (distance - p.Distance) * slow
	p.Own += (float32(math.Abs(x-p.Level)) - p.Own) * float32(slow)
	p.Off += (float32(math.Abs(distance-p.Distance)) - p.Off) * float32(slow)
}

// related reports whether the neighbours explain the most of what the sensor does: a motor and a room
// have temperatures, too.
func (p *peer) related() bool { return p.Off < p.Own/4 }
