package suite

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// nabProfiles are NAB's three ways to weigh what a detector does (Lavin, Ahmad: Evaluating real-time
// anomaly detection algorithms, 2015): what a hit, a false alarm and a missed window are worth.
var nabProfiles = [3]struct {
	name             string
	hit, alarm, miss float64
}{
	{"standard", 1, 0.11, 1},
	{"reward low false positives", 1, 0.22, 1},
	{"reward low false negatives", 1, 0.11, 2},
}

// NABFixed is the threshold that the product uses, the same for all series and profiles.
const NABFixed = 0.5

// NABProfile is a detector's score by one profile: 100 is a detector that finds each window with its
// first row and nothing else, 0 is one that never gives alarm.
type NABProfile struct {
	Name      string
	Score     float64 // at the best threshold for this profile, over all series
	Threshold float64 // +Inf: never to give alarm is best
	Fixed     float64 // score at NABFixed
	LeftOut   float64 // score when each folder is judged by the threshold that is best for all others
}

// NABEvents are plain measures, whatever the place in a window or the distance from it: a window is
// found or not, and rows outside of windows that follow each other are one false alarm.
type NABEvents struct {
	Windows, Hits, Alarms int
	Precision, Recall, F1 float64
	// F1Low and F1High bound a 95 % confidence interval of F1 over series, by a seeded bootstrap.
	F1Low, F1High float64
}

// NABFolder is what a detector made of the series of one folder.
type NABFolder struct {
	Name   string
	Series int
	Score  [3]float64 // by profile at that profile's threshold over all series
	Events NABEvents  // at the standard profile's threshold
}

// NABResult is what a detector made of a corpus.
type NABResult struct {
	Series   int
	Profiles [3]NABProfile
	Events   NABEvents // at the standard profile's threshold
	Fixed    NABEvents // at NABFixed
	Folders  []NABFolder
}

// NAB scores a detector on the series below root by NAB's own rules; the labels are in
// root/combined_windows.json. Each series is judged by a detector of its own. Scores of 0 are never
// an alarm.
func NAB(root string, detector func() Judge) (NABResult, error) {
	c, err := ReadNAB(root, "")
	if err != nil {
		return NABResult{}, err
	}
	return c.Score(detector), nil
}

// Score scores a detector on the corpus.
func (c *NABCorpus) Score(detector func() Judge) NABResult {
	return summarise(c.judge(detector))
}

// nabRow is a row that is an alarm at a threshold of score or below.
type nabRow struct {
	score  float64
	worth  float64 // as a share of what a hit or a false alarm weighs
	series int
	row    int
	window int // of the series; -1: outside of all
}

// nabJudged is what a detector made of one series.
type nabJudged struct {
	name, folder string
	windows      int
	length       int // rows, those without a score included
	rows         []nabRow
}

func (c *NABCorpus) judge(detector func() Judge) []nabJudged {
	out := make([]nabJudged, len(c.series))
	for i := range c.series {
		s := &c.series[i]
		judge, scores := detector(), make([]float64, len(s.rows))
		for r := range s.rows {
			scores[r], _ = judge.Row(s.at[r], s.rows[r])
		}
		out[i] = nabJudged{s.name, s.folder(), len(s.windows), len(s.rows), s.rate(scores)}
	}
	return out
}

// probation is how many rows at the start are not scored: 15 % of a series, of 5,000 rows at most.
func (s *nabSeries) probation() int { return int(0.15 * float64(min(len(s.rows), 5000))) }

// rate says of each row with a score what it would be worth as an alarm.
func (s *nabSeries) rate(scores []float64) []nabRow {
	var rows []nabRow
	next := 0 // window that is not over
	for i := s.probation(); i < len(scores); i++ {
		for next < len(s.windows) && i > s.windows[next][1] {
			next++
		}
		if scores[i] <= 0 {
			continue
		}
		row := nabRow{score: scores[i], row: i, window: -1}
		switch {
		case next < len(s.windows) && i >= s.windows[next][0]:
			row.window, row.worth = next, early(i, s.windows[next])
		case next == 0:
			row.worth = -1
		default:
			row.worth = late(i, s.windows[next-1])
		}
		rows = append(rows, row)
	}
	return rows
}

// early is what an alarm in a window is worth: 1 at its first row, next to nothing at its last.
func early(row int, w [2]int) float64 {
	left := float64(w[1] - row + 1)
	return sigmoid(-left/float64(w[1]-w[0]+1)) / sigmoid(-1)
}

// late is what an alarm behind a window is worth: little is lost close to it, 1 far from it.
func late(row int, w [2]int) float64 {
	return sigmoid(float64(row-w[1]) / float64(max(w[1]-w[0], 1)))
}

// sigmoid is NAB's scaled sigmoid.
func sigmoid(x float64) float64 {
	if x > 3 {
		return -1
	}
	return 2/(1+math.Exp(5*x)) - 1
}

// tally is NAB's sum over alarms, which are added one by one.
type tally struct {
	profile int
	windows int
	sum     float64
	found   map[[2]int]float64
}

func newTally(profile int, judged []nabJudged) tally {
	t := tally{profile: profile, found: map[[2]int]float64{}}
	for i := range judged {
		t.windows += judged[i].windows
	}
	t.sum = -nabProfiles[profile].miss * float64(t.windows)
	return t
}

func (t *tally) add(r nabRow) {
	p := &nabProfiles[t.profile]
	if r.window < 0 {
		t.sum += p.alarm * r.worth
		return
	}
	key := [2]int{r.series, r.window}
	old, ok := t.found[key]
	if !ok {
		t.sum += p.miss
	}
	if !ok || r.worth > old {
		t.sum += p.hit * (r.worth - old)
		t.found[key] = r.worth
	}
}

// score normalises a sum of what windows many windows are worth. Without a window, each alarm far
// from any costs as it does beside one.
func (t *tally) score() float64 { return normalise(t.profile, t.windows, t.sum) }

func normalise(profile, windows int, sum float64) float64 {
	p := &nabProfiles[profile]
	null, perfect := -p.miss*float64(windows), p.hit*float64(windows)
	return 100 * (sum - null) / max(perfect-null, 1)
}

// bestThreshold is the threshold with the highest score. Each score that occurs is tried.
func bestThreshold(profile int, judged []nabJudged) (score, threshold float64) {
	return peak(curve(profile, judged))
}

func peak(scores, thresholds []float64) (score, threshold float64) {
	threshold = math.Inf(1)
	for i, s := range scores {
		if s > score {
			score, threshold = s, thresholds[i]
		}
	}
	return score, threshold
}

// plateau is the highest mean of scores at thresholds that give 0.7 to 1.4 times as many alarms as one.
func plateau(scores []float64) (height float64) {
	sums := make([]float64, len(scores)+1)
	for i, s := range scores {
		sums[i+1] = sums[i] + s
	}
	for i := range scores {
		from, to := i*7/10, min((i+1)*14/10, len(scores))
		height = max(height, (sums[to]-sums[from])/float64(to-from))
	}
	return height
}

// curve returns the score at each threshold that occurs, the highest first.
func curve(profile int, judged []nabJudged) (scores, thresholds []float64) {
	rows := pooled(judged)
	t := newTally(profile, judged)
	for i, r := range rows {
		t.add(r)
		if i+1 == len(rows) || rows[i+1].score != r.score {
			scores, thresholds = append(scores, t.score()), append(thresholds, r.score)
		}
	}
	return scores, thresholds
}

// pooled returns the rows of all series, the highest score first.
func pooled(judged []nabJudged) []nabRow {
	var rows []nabRow
	for i := range judged {
		for _, r := range judged[i].rows {
			r.series = i
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b nabRow) int { return cmp.Compare(b.score, a.score) })
	return rows
}

// sumAt is the sum that judged has at a threshold.
func sumAt(profile int, judged []nabJudged, threshold float64) (sum float64, windows int) {
	t := newTally(profile, judged)
	for i := range judged {
		for _, r := range judged[i].rows {
			if r.score >= threshold {
				r.series = i
				t.add(r)
			}
		}
	}
	return t.sum, t.windows
}

func scoreAt(profile int, judged []nabJudged, threshold float64) float64 {
	sum, windows := sumAt(profile, judged, threshold)
	return normalise(profile, windows, sum)
}

func summarise(judged []nabJudged) NABResult {
	r := NABResult{Series: len(judged)}
	folders := byFolder(judged)
	for p := range nabProfiles {
		score, threshold := bestThreshold(p, judged)
		r.Profiles[p] = NABProfile{
			Name: nabProfiles[p].name, Score: score, Threshold: threshold,
			Fixed: scoreAt(p, judged, NABFixed), LeftOut: leftOut(p, [][]nabJudged{judged}).score,
		}
	}
	r.Events = events(judged, r.Profiles[0].Threshold)
	r.Fixed = events(judged, NABFixed)
	for _, in := range folders {
		f := NABFolder{Name: in[0].folder, Series: len(in), Events: events(in, r.Profiles[0].Threshold)}
		for p := range nabProfiles {
			f.Score[p] = scoreAt(p, in, r.Profiles[p].Threshold)
		}
		r.Folders = append(r.Folders, f)
	}
	return r
}

// byFolder groups series, which are in order of their names.
func byFolder(judged []nabJudged) [][]nabJudged {
	var out [][]nabJudged
	for i := range judged {
		if i == 0 || judged[i].folder != judged[i-1].folder {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], judged[i])
	}
	return out
}

func events(judged []nabJudged, threshold float64) NABEvents {
	each := make([]NABEvents, len(judged))
	for i := range judged {
		each[i] = judged[i].count(threshold)
	}
	e := measure(each, func(i int) int { return i })
	const rounds = 2000
	rng, f1 := rand.New(rand.NewPCG(1, 2)), make([]float64, rounds)
	for i := range f1 {
		f1[i] = measure(each, func(int) int { return rng.IntN(len(each)) }).F1
	}
	slices.Sort(f1)
	e.F1Low, e.F1High = f1[rounds/40], f1[rounds-1-rounds/40]
	return e
}

// count counts windows with an alarm, and runs of alarms outside of windows. A run counts again for
// every further twentieth of the series that it lasts: giving alarm all the time is not one alarm.
func (j *nabJudged) count(threshold float64) NABEvents {
	e := NABEvents{Windows: j.windows}
	window, last, begin := -1, -2, 0
	for _, r := range j.rows {
		if r.score < threshold {
			continue
		}
		switch {
		case r.window < 0 && (r.row != last+1 || r.row-begin >= max(j.length/20, 1)):
			e.Alarms++
			begin = r.row
		case r.window > window:
			e.Hits++
			window = r.window
		}
		last = r.row
	}
	return e
}

// measure adds up as many series as there are, drawn by pick.
func measure(each []NABEvents, pick func(int) int) NABEvents {
	var e NABEvents
	for i := range each {
		o := &each[pick(i)]
		e.Windows, e.Hits, e.Alarms = e.Windows+o.Windows, e.Hits+o.Hits, e.Alarms+o.Alarms
	}
	e.Precision = share(e.Hits, e.Hits+e.Alarms)
	e.Recall = share(e.Hits, e.Windows)
	e.F1 = share(2*e.Hits, e.Windows+e.Hits+e.Alarms)
	return e
}

func share(a, b int) float64 { return float64(a) / float64(max(b, 1)) }
