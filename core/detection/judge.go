package detection

import (
	"math"

	"industrial-iot-monitor/core/internal/detect"
	"industrial-iot-monitor/core/internal/novelty"
	"industrial-iot-monitor/core/internal/suite"
)

// alarmFrom is the score from which on a sensor is worth an alarm at ordinary sensitivity.
const alarmFrom = 0.5

// judge is the detector of one device as suites and tables have it. It implements suite.Judge.
type judge struct {
	settings detect.Settings
	device   detect.Device
	sensors  []string
	novelty  []novelty.Measure // by column
	samples  []detect.Sample
	verdicts []detect.Verdict
}

func newJudge(settings detect.Settings, sensors []string) *judge {
	return &judge{settings: settings, sensors: sensors}
}

var _ suite.Judge = (*judge)(nil)

// Row implements suite.Judge: the score is how new the newest value of a sensor is, the verdict whether a
// sensor is in an unusual state.
func (j *judge) Row(at int64, values []float64) (score float64, unusual bool) {
	j.samples = j.samples[:0]
	if more := len(values) - len(j.novelty); more > 0 {
		j.novelty = append(j.novelty, make([]novelty.Measure, more)...)
	}
	for i, v := range values {
		if !math.IsNaN(v) {
			j.samples = append(j.samples, detect.Sample{Sensor: j.name(i), Value: v})
			score = max(score, j.novelty[i].Step(at, v))
		}
	}
	j.verdicts = j.device.Step(&j.settings, at, j.samples, j.verdicts[:0])
	for _, v := range j.verdicts {
		unusual = unusual || v.State >= alarmFrom
	}
	return score, unusual
}

// name returns the name of a column.
func (j *judge) name(i int) string {
	for len(j.sensors) <= i {
		j.sensors = append(j.sensors, "value"+string(rune('a'+len(j.sensors)%26)))
	}
	return j.sensors[i]
}

// worst returns the most unusual sensor of the newest row and its verdict, false if none is unusual.
func (j *judge) worst() (string, detect.Verdict, bool) {
	at := -1
	for i, v := range j.verdicts {
		if v.State >= alarmFrom && (at < 0 || v.State > j.verdicts[at].State) {
			at = i
		}
	}
	if at < 0 {
		return "", detect.Verdict{}, false
	}
	return j.samples[at].Sensor, j.verdicts[at], true
}
