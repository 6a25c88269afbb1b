package detect

import "time"

// JointJudge judges the readings of a device by the joint measure of its sensors alone, for the
// suites of package suite and for trying it. The zero value is not usable.
type JointJudge struct {
	joint  joint
	params jointParams
	settle time.Duration
}

// NewJointJudge returns a judge with the parameters of the product.
func NewJointJudge(set Settings) *JointJudge {
	return &JointJudge{params: jointDefaults(), settle: set.Settle}
}

// Row learns a reading at at (ms since 1970) and returns how unusual the device is after it, 0 to 1,
// and whether that is worth an alarm. A value that is missing is NaN.
func (j *JointJudge) Row(at int64, values []float64) (score float64, unusual bool) {
	v := j.joint.step(&j.params, j.settle, at, values)
	return v.Level, v.Unusual
}
