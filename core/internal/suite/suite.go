// Package suite measures a detector on labelled data: public data sets by the rules of their own
// leaderboards, and beside these the plain measures of events. It reads files and blocks while it does.
package suite

// Judge judges the rows of a series one after another.
type Judge interface {
	// Row returns how unusual a row is, 0 to 1, and whether it is worth an alarm. at is in ms since
	// 1970; a value that is missing is NaN.
	Row(at int64, values []float64) (score float64, unusual bool)
}
