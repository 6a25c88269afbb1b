//go:build race

package store

// questions are how many random questions a test asks. One at a time, they have no races, and with
// the race detector each takes five times as long: make test-store asks both databases the others.
const questions = 60
