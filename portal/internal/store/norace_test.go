//go:build !race

package store

// questions are how many random questions a test asks.
const questions = 400
