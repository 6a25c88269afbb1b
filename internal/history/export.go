package history

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"industrial-iot-monitor/internal/telemetry"
)

// Formats of an export.
const (
	CSV     = "csv"
	NDJSON  = "ndjson"
	Parquet = "parquet"
)

// Formats lists the formats of an export.
var Formats = []string{CSV, NDJSON, Parquet}

// ContentType returns the media type of a format.
func ContentType(format string) string {
	switch format {
	case CSV:
		return "text/csv; charset=utf-8"
	case Parquet:
		return "application/vnd.apache.parquet"
	default:
		return "application/x-ndjson"
	}
}

// ExportQuery asks for all readings of a range, device by device in the order of their ids, each in
// the order of time.
type ExportQuery struct {
	Format     string
	Devices    []string // ids; nil: all
	Parameters []string // names of sensors; nil: all
	From, To   int64    // plant time in ms, both inclusive
	// ID, if not empty, is a name of the client's choice by which Client.Progress asks how far it is.
	ID string
	// Progress, if not nil, is called by the historian with how many days of devices are done, of how many.
	Progress func(done, of int)
}

// Progress is how far an export is.
type Progress struct {
	Done     int64 `json:"done"` // days of devices
	Of       int64 `json:"of"`
	Readings int64 `json:"readings"`
}

// maxID bounds the name of an export in bytes.
const maxID = 64

var errID = fmt.Errorf("id: want at most %d bytes", maxID)

// Check returns what is wrong with q.
func (q *ExportQuery) Check() error {
	var errs []error
	if !slices.Contains(Formats, q.Format) {
		errs = append(errs, fmt.Errorf("format=%q: want one of %s", q.Format, strings.Join(Formats, ", ")))
	}
	for _, id := range q.Devices {
		if !telemetry.ValidDeviceID(id) {
			errs = append(errs, fmt.Errorf("devices: %q is not the id of a device", id))
		}
	}
	for _, name := range q.Parameters {
		if !telemetry.ValidSensorName(name) {
			errs = append(errs, fmt.Errorf("parameters: %q is not the name of a sensor", name))
		}
	}
	if len(q.ID) > maxID {
		errs = append(errs, errID)
	}
	if q.From < 0 || q.From >= q.To || q.To >= telemetry.MaxTimestamp {
		errs = append(errs, errRange)
	}
	return errors.Join(errs...)
}

// Values returns q as parameters of a URL.
func (q *ExportQuery) Values() url.Values {
	v := url.Values{"format": {q.Format}}
	v.Set(paramFrom, strconv.FormatInt(q.From, 10))
	v.Set(paramTo, strconv.FormatInt(q.To, 10))
	if q.Devices != nil {
		v.Set(paramDevices, strings.Join(q.Devices, ","))
	}
	if q.Parameters != nil {
		v.Set(paramParameters, strings.Join(q.Parameters, ","))
	}
	if q.ID != "" {
		v.Set(paramID, q.ID)
	}
	return v
}

// ParseExportQuery is the inverse of ExportQuery.Values. It does not Check.
func ParseExportQuery(v url.Values) (ExportQuery, error) {
	q, err := ParseQuery(v)
	return ExportQuery{ID: v.Get(paramID), Format: v.Get("format"), Devices: q.Devices, Parameters: q.Parameters, From: q.From, To: q.To}, err
}
