package prom

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// errorType is Prometheus' word for the kind of an error.
type errorType string

const (
	badData     errorType = "bad_data"
	execution   errorType = "execution"
	timedOut    errorType = "timeout"
	canceled    errorType = "canceled"
	internal    errorType = "internal"
	unavailable errorType = "unavailable"
	notFound    errorType = "not_found"
)

// statusCanceled is what Prometheus answers to a client that has gone.
const statusCanceled = 499

// statuses are those that Prometheus' documentation names.
var statuses = map[errorType]int{
	badData: http.StatusBadRequest, execution: http.StatusUnprocessableEntity, timedOut: http.StatusServiceUnavailable, canceled: statusCanceled,
	internal: http.StatusInternalServerError, unavailable: http.StatusServiceUnavailable, notFound: http.StatusNotFound,
}

// failure is an error as the client sees it.
type failure struct {
	kind    errorType
	message string
}

func (f *failure) Error() string { return f.message }

// classify returns what a client is told of an error.
func classify(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	kind := execution
	switch {
	case is[promql.ErrQueryTimeout](err), errors.Is(err, context.DeadlineExceeded):
		kind = timedOut
	case is[promql.ErrQueryCanceled](err), errors.Is(err, context.Canceled):
		kind = canceled
	case is[sourceError](err), is[promql.ErrStorage](err):
		kind = internal
	}
	return &failure{kind, err.Error()}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func refuse(w http.ResponseWriter, f *failure) {
	write(w, statuses[f.kind], marshalled(struct {
		Status    string    `json:"status"`
		ErrorType errorType `json:"errorType"`
		Error     string    `json:"error"`
	}{"error", f.kind, f.message}))
}

func reply(w http.ResponseWriter, r *result) {
	out := append([]byte(`{"status":"success","data":`), r.data...)
	for name, list := range map[string][]string{"warnings": r.warnings, "infos": r.infos} {
		if len(list) > 0 {
			out = append(append(out, `,"`+name+`":`...), marshalled(list)...)
		}
	}
	write(w, http.StatusOK, append(out, '}'))
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client has gone
}

// marshalled returns the JSON of a value that has one.
func marshalled(v any) []byte {
	b, _ := json.Marshal(v) // texts, and lists and maps of them
	return b
}

// limited returns a list up to the limit of a form.
func limited[T any](list []T, f *form) (*result, error) {
	limit := f.number("limit", 0)
	if f.err != nil {
		return nil, f.err
	}
	out := new(result)
	if limit > 0 && len(list) > limit {
		list, out.warnings = list[:limit], []string{errCut}
	}
	out.data = marshalled(list)
	return out, nil
}

// appendResult appends a value as in the answer to a query.
func appendResult(dst []byte, v parser.Value) []byte {
	dst = append(append(append(dst, `{"resultType":"`...), v.Type()...), `","result":`...)
	switch v := v.(type) {
	case promql.Scalar:
		dst = appendPoint(dst, v.T, v.V)
	case promql.String:
		dst = append(append(append(appendTime(append(dst, '['), v.T), ','), marshalled(v.V)...), ']')
	case promql.Vector:
		dst = append(dst, '[')
		for i := range v {
			dst = appendPoint(append(appendMetric(dst, i, v[i].Metric), `,"value":`...), v[i].T, v[i].F)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	case promql.Matrix:
		dst = append(dst, '[')
		for i := range v {
			dst = append(appendMetric(dst, i, v[i].Metric), `,"values":[`...)
			for k, p := range v[i].Floats {
				if k > 0 {
					dst = append(dst, ',')
				}
				dst = appendPoint(dst, p.T, p.F)
			}
			dst = append(dst, "]}"...)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// appendMetric appends the beginning of a series, with a comma before it but for the first one.
func appendMetric(dst []byte, i int, l labels.Labels) []byte {
	if i > 0 {
		dst = append(dst, ',')
	}
	return append(append(dst, `{"metric":`...), marshalled(l)...)
}

func appendPoint(dst []byte, ms int64, v float64) []byte {
	dst = append(appendTime(append(dst, '['), ms), `,"`...)
	format := byte('f')
	if size := math.Abs(v); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e' // as Prometheus writes it
	}
	return append(strconv.AppendFloat(dst, v, format, -1, 64), `"]`...)
}

// appendTime appends seconds since 1970.
func appendTime(dst []byte, ms int64) []byte {
	dst = strconv.AppendInt(dst, ms/1000, 10)
	if rest := ms % 1000; rest != 0 {
		dst = append(dst, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	}
	return dst
}

// Unavailable answers that nothing can be answered now.
func Unavailable(w http.ResponseWriter, why string) { refuse(w, &failure{unavailable, why}) }

// Elsewhere returns a handler that answers every request with where to ask instead.
func Elsewhere(where string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { refuse(w, &failure{execution, where}) })
}
