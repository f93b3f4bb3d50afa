package sim

import "time"

// job is slow work of another thread. It takes effect at some moment, and its answer
// comes at that moment or later.
type job struct {
	w        *world
	effect   func() // what stays when Sluice is killed; nil when it fails
	answer   func()
	effected bool
	done     bool
}

// begin starts slow work that ends within d, or, with luck, at once.
func (w *world) begin(d time.Duration, effect, answer func()) {
	j := &job{w: w, effect: effect, answer: answer}
	w.jobs++
	w.working = append(w.working, j)
	if w.chance(w.plan.early) {
		j.finish()
		return
	}
	w.after(w.within(d), j.takeEffect)
	w.after(d, j.finish)
}

func (j *job) takeEffect() {
	if j.effected || j.done {
		return
	}
	j.effected = true
	if j.effect != nil {
		j.effect()
	}
}

func (j *job) finish() {
	if j.done {
		return
	}
	j.takeEffect()
	j.done = true
	for i, other := range j.w.working {
		if other == j {
			last := len(j.w.working) - 1
			j.w.working[i] = j.w.working[last]
			j.w.working[last] = nil
			j.w.working = j.w.working[:last]
			break
		}
	}
	j.answer()
}

// interleave lets other threads finish some of their jobs at this very moment.
func (w *world) interleave() {
	for len(w.working) > 0 && w.chance(80) {
		w.working[w.random.IntN(len(w.working))].finish()
	}
}
