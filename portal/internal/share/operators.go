package share

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"industrial-iot-monitor/portal/internal/operators"
)

// operatorsValid is how long the operators of a portal that is not heard of any more are shown.
const operatorsValid = 10 * time.Second

// exchangeOperators publishes who is here and gets who is elsewhere.
func (s *Share) exchangeOperators(ctx context.Context) error {
	own, err := json.Marshal(s.opts.Operators.Own())
	if err != nil {
		return fmt.Errorf("encoding operators: %w", err)
	}
	out, err := s.run(ctx, operatorsScript, []string{s.keys.operators}, []any{s.id, own, operatorsValid.Milliseconds()})
	if err != nil {
		return fmt.Errorf("exchanging operators: %w", err)
	}
	lists, _ := out.([]any)
	var others []operators.Operator
	for _, text := range lists {
		var list []operators.Operator
		if text, ok := text.(string); ok && json.Unmarshal([]byte(text), &list) == nil { // another portal wrote it
			others = append(others, list...)
		}
	}
	s.opts.Operators.SetOthers(others, operatorsValid)
	return nil
}
