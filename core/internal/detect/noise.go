package detect

import "math"

// fewestFlips is how often values must go back and forth to oscillate: a spike does it once.
const fewestFlips = 1.5

// noise is how much the values of a stream move from one to the next.
type noise struct {
	Step  float32 // mean of the logarithms, base 2, of the steps: the one large step of a change of load moves it little
	N     float32 // steps, up to swingSpan
	Last  float32 // the newest step, with its sign
	Flips float32 // about how many of the newest swingSpan steps undid a large one
	Back  float32 // mean of what was undone by the next step: large for values that go back and forth
}

// learn adds the step between two values. Less than half of quantum, the least step, is as much as none.
func (n *noise) learn(step float64, size, quantum float32) {
	n.N = min(n.N+1, swingSpan)
	n.Step += (octaves(size, quantum) - n.Step) / n.N
	back, flip := float32(0), float32(0)
	if float32(step)*n.Last < 0 {
		if back = min(size, abs(n.Last)); octaves(back, quantum) > n.Step+2 {
			flip = 1
		}
	}
	n.Flips += flip - n.Flips/swingSpan
	n.Back += (back - n.Back) / n.N
	n.Last = float32(step)
}

// swing returns the logarithm of what goes back and forth.
func (n *noise) swing(quantum float32) float32 { return octaves(n.Back, quantum) }

func octaves(x, quantum float32) float32 { return log2(x + quantum/2) }

// log2 returns the logarithm to the base 2 of a positive number, to a hundredth: the mantissa's by a
// parabola.
func log2(x float32) float32 {
	bits := math.Float32bits(x)
	m := math.Float32frombits(bits&(1<<23-1) | 127<<23) // 1 to 2
	return float32(int32(bits>>23)-127) + (2-m/3)*m - 5.0/3
}
