package suite

// NABLeftOut is what a choice between candidates is worth on series that had no part in it.
type NABLeftOut struct {
	Scores [3]float64           // by profile
	Chosen map[string][3]string // the candidate, by folder that was left out and profile
}

// LeaveOneOut scores the choice between candidates: of each folder, the detector and its threshold
// are those with the highest score on all other folders. Profiles choose for themselves, as NAB lets
// them choose their thresholds.
func (c *NABCorpus) LeaveOneOut(candidates []Candidate) NABLeftOut {
	judged := make([][]nabJudged, len(candidates))
	for i := range candidates {
		judged[i] = c.judge(candidates[i].New)
	}
	out := NABLeftOut{Chosen: map[string][3]string{}}
	for p := range nabProfiles {
		l := leftOut(p, judged)
		out.Scores[p] = l.score
		for folder, i := range l.chosen {
			names := out.Chosen[folder]
			names[p] = candidates[i].Name
			out.Chosen[folder] = names
		}
	}
	return out
}

type leftOutScore struct {
	score  float64
	chosen map[string]int
}

// leftOut chooses a candidate and a threshold for each folder without it; all folders' sums together
// are the score.
func leftOut(profile int, candidates [][]nabJudged) leftOutScore {
	out := leftOutScore{chosen: map[string]int{}}
	total, windows := 0.0, 0
	for _, in := range byFolder(candidates[0]) {
		folder := in[0].folder
		best, threshold := bestCandidate(profile, candidates, folder)
		_, held := split(candidates[best], folder)
		sum, n := sumAt(profile, held, threshold)
		total, windows = total+sum, windows+n
		out.chosen[folder] = best
	}
	out.score = normalise(profile, windows, total)
	return out
}

func bestCandidate(profile int, candidates [][]nabJudged, without string) (best int, threshold float64) {
	top := -1.0
	for i := range candidates {
		rest, _ := split(candidates[i], without)
		if s, t := bestThreshold(profile, rest); s > top {
			top, best, threshold = s, i, t
		}
	}
	return best, threshold
}

func split(judged []nabJudged, folder string) (rest, held []nabJudged) {
	for i := range judged {
		if judged[i].folder == folder {
			held = append(held, judged[i])
		} else {
			rest = append(rest, judged[i])
		}
	}
	return rest, held
}

// Rate returns a detector's scores by profile: at the best threshold for all series, and around it.
// A search does better by the second one: the peak of the curve over thresholds is an accident of
// the series, and a search finds accidents.
func (c *NABCorpus) Rate(detector func() Judge) (best, around [3]float64) {
	judged := c.judge(detector)
	for p := range best {
		scores, thresholds := curve(p, judged)
		best[p], _ = peak(scores, thresholds)
		around[p] = plateau(scores)
	}
	return best, around
}

// LeaveOneOutBy scores a way to choose: choose gets the corpus without one folder and returns a
// detector; that folder is then judged by it, at the thresholds that are best for the others.
func (c *NABCorpus) LeaveOneOutBy(choose func(rest *NABCorpus, without string) func() Judge) (scores [3]float64) {
	var sums [3]float64
	windows := 0
	for i := range c.series {
		folder := c.series[i].folder()
		if i > 0 && c.series[i-1].folder() == folder {
			continue
		}
		var rest NABCorpus
		for k := range c.series {
			if c.series[k].folder() != folder {
				rest.series = append(rest.series, c.series[k])
			}
		}
		others, held := split(c.judge(choose(&rest, folder)), folder)
		n := 0
		for p := range sums {
			_, threshold := bestThreshold(p, others)
			var sum float64
			sum, n = sumAt(p, held, threshold)
			sums[p] += sum
		}
		windows += n
	}
	for p := range sums {
		scores[p] = normalise(p, windows, sums[p])
	}
	return scores
}
