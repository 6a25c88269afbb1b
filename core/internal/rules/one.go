package rules

import (
	"bytes"
	"errors"
	"fmt"

	"industrial-iot-monitor/core/internal/alarm"
	"industrial-iot-monitor/internal/sensors"
	"industrial-iot-monitor/internal/yamldoc"
)

// LoadOne parses and checks one rule: an entry of the list in a rules file, as Format
// writes it, or a file with one rule. The error is a *yamldoc.Error with the lines of data.
func LoadOne(data []byte, catalogue *sensors.Catalogue) (alarm.Rule, error) {
	const frame = "rules:\n"
	entry := bytes.HasPrefix(bytes.TrimLeft(data, " \r\n"), []byte("-"))
	if entry {
		data = append([]byte(frame), data...)
	}
	set, err := Load(data, catalogue)
	if wrong, ok := errors.AsType[*yamldoc.Error](err); ok && entry {
		for i := range wrong.Problems {
			if p := &wrong.Problems[i]; p.Line > 0 {
				p.Line = max(p.Line-1, 1)
			}
		}
	}
	if err != nil {
		return alarm.Rule{}, err
	}
	if n := len(set.Rules); n != 1 {
		return alarm.Rule{}, &yamldoc.Error{Problems: []yamldoc.Problem{{Message: fmt.Sprintf("%d rules; want one", n)}}}
	}
	return set.Rules[0], nil
}
