package grafana

import "github.com/grafana/grafana-foundation-sdk/go/units"

// Units of panels.
const (
	count     = units.Short
	share     = units.PercentUnit
	seconds   = units.Seconds
	bytes     = units.BytesIEC
	byteRate  = units.BytesPerSecondIEC
	perSecond = "suffix:/s"
	yes       = units.Bool
	percent   = units.Percent
	celsius   = units.Celsius
	humidity  = units.Humidity
)
