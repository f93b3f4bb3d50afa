package pressure

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const interval = 2 * time.Second

func lagSettings() Settings {
	return Settings{
		Interval: interval,
		Lag: LagSettings{
			Groups:     []string{"indexer"},
			Records:    Band{1000, 5000},
			Age:        Band{60, 300},
			StaleAfter: 10 * time.Second,
		},
	}
}

// clockedGate is a gate whose clock is moved by the test.
type clockedGate struct {
	*Gate
	now time.Time
}

func newClockedGate(s Settings) *clockedGate {
	return &clockedGate{NewGate(s), time.Unix(1_800_000_000, 0)}
}

// after updates the gate d later.
func (w *clockedGate) after(d time.Duration, in Inputs) Decision {
	w.now = w.now.Add(d)
	for i := range in.Groups {
		if in.Groups[i].Result == Read && in.Groups[i].At.IsZero() {
			in.Groups[i].At = w.now
		}
	}
	return w.Update(w.now, in)
}

func records(n int64) Inputs { return Inputs{Groups: []Reading{{Result: Read, Records: n}}} }

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

// TestRamp checks the fraction over time: each step is one interval.
func TestRamp(t *testing.T) {
	failed := Inputs{Groups: []Reading{{Result: Failed}}}
	unknown := Inputs{Groups: []Reading{{Result: Unknown}}}
	age := func(d time.Duration) Inputs { return Inputs{Groups: []Reading{{Result: Read, Age: d}}} }
	type step struct {
		in    Inputs
		want  float64
		cause string
	}
	for name, c := range map[string]struct {
		policy StalePolicy
		steps  []step
	}{
		"rises at once, falls by 10 points": {Hold, []step{
			{records(0), 0, ""}, {records(1000), 0, ""}, {records(4000), 0.75, CauseLagRecords},
			{records(3000), 0.65, CauseLagRecords}, {records(3000), 0.55, CauseLagRecords},
			{records(3000), 0.5, CauseLagRecords}, {records(0), 0.4, CauseLagRecords}, {records(3400), 0.6, CauseLagRecords},
		}},
		"shut until below low": {Hold, []step{
			{records(5000), 1, CauseLagRecords}, {records(4999), 1, CauseLagRecords}, {records(1001), 1, CauseLagRecords},
			{records(1000), 1, CauseLagRecords}, {records(999), 0.9, CauseLagRecords}, {records(1500), 0.8, CauseLagRecords},
			{records(6000), 1, CauseLagRecords},
		}},
		"opens wholly": {Hold, append([]step{{records(9999), 1, CauseLagRecords}}, func() (down []step) {
			for f := 0.9; f > 0.05; f -= 0.1 {
				down = append(down, step{records(0), f, CauseLagRecords})
			}
			return append(down, step{records(0), 0, ""}, step{records(0), 0, ""})
		}()...)},
		"by age": {Hold, []step{
			{age(time.Minute), 0, ""}, {age(3 * time.Minute), 0.5, CauseLagAge}, {age(5 * time.Minute), 1, CauseLagAge},
			{age(2 * time.Minute), 1, CauseLagAge}, {age(59 * time.Second), 0.9, CauseLagAge},
		}},
		"hold": {Hold, []step{
			{records(3000), 0.5, CauseLagRecords}, {failed, 0.5, CauseLagRecords}, {failed, 0.5, CauseLagRecords},
			{failed, 0.5, CauseLagRecords}, {failed, 0.5, CauseLagRecords}, {failed, 0.5, CauseLagRecords},
			{failed, 0.5, CauseLagStale}, {failed, 0.5, CauseLagStale}, {unknown, 0.5, CauseLagUnknown},
			{failed, 0.5, CauseLagUnknown}, {records(0), 0.4, CauseLagRecords},
		}},
		"hold open": {Hold, []step{
			{records(0), 0, ""}, {failed, 0, ""}, {failed, 0, ""}, {failed, 0, ""}, {failed, 0, ""}, {failed, 0, ""},
			{failed, 0, ""}, {unknown, 0, ""},
		}},
		"open": {Open, []step{
			{records(5000), 1, CauseLagRecords}, {failed, 1, CauseLagRecords}, {failed, 1, CauseLagRecords},
			{failed, 1, CauseLagRecords}, {failed, 1, CauseLagRecords}, {failed, 1, CauseLagRecords},
			{failed, 0.9, CauseLagStale}, {failed, 0.8, CauseLagStale}, {records(3000), 0.7, CauseLagRecords},
		}},
		"shed": {Shed, []step{
			{records(0), 0, ""}, {failed, 0, ""}, {failed, 0, ""}, {failed, 0, ""}, {failed, 0, ""}, {failed, 0, ""},
			{failed, 1, CauseLagStale}, {records(3000), 0.9, CauseLagRecords}, {unknown, 1, CauseLagUnknown},
		}},
		"never read, hold": {Hold, []step{
			{failed, 0, ""}, {failed, 0, ""}, {failed, 0, ""}, {failed, 0, ""}, {failed, 0, ""}, {failed, 0, ""},
			{failed, 1, CauseLagStale}, {records(2000), 0.9, CauseLagRecords},
		}},
		"unknown from the start, hold": {Hold, []step{{unknown, 1, CauseLagUnknown}, {records(0), 0.9, CauseLagRecords}}},
		"unknown from the start, open": {Open, []step{{unknown, 0, ""}, {records(5000), 1, CauseLagRecords}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := lagSettings()
			s.Lag.OnStale = c.policy
			w := newClockedGate(s)
			for i, step := range c.steps {
				in := Inputs{Groups: slices.Clone(step.in.Groups)}
				v := w.after(interval, in).Verdicts[0]
				if !near(v.Fraction, step.want) || v.Cause != step.cause {
					t.Fatalf("step %d (%+v): %v %q, want %v %q", i, step.in.Groups, v.Fraction, v.Cause, step.want, step.cause)
				}
			}
		})
	}
}

// TestStaleIsToldApart checks that a decision names groups with an unknown lag even while
// nothing is shed for them.
func TestStaleIsToldApart(t *testing.T) {
	s := lagSettings()
	s.Lag.Groups, s.Lag.OnStale = []string{"a", "b", "c"}, Open
	w := newClockedGate(s)
	w.after(interval, Inputs{})
	d := w.after(11*time.Second, Inputs{Groups: []Reading{{Result: Read}, {Result: Failed}, {Result: Unknown}}})
	if want := []string{"", CauseLagStale, CauseLagUnknown}; !slices.Equal(d.Groups, want) {
		t.Errorf("%q, want %q", d.Groups, want)
	}
}

// TestEarlyUpdate checks that the fraction falls no faster with extra updates between the
// intervals, or after a long pause.
func TestEarlyUpdate(t *testing.T) {
	w := newClockedGate(lagSettings())
	w.after(interval, records(4000))
	for range 10 {
		w.after(interval/10, records(0))
	}
	if f := w.after(0, records(0)).Verdicts[0].Fraction; !near(f, 0.65) {
		t.Errorf("after one interval in ten steps: %v", f)
	}
	if f := w.after(time.Hour, records(0)).Verdicts[0].Fraction; !near(f, 0.55) {
		t.Errorf("after an hour: %v", f)
	}
}

// TestLocalFall checks that pressure from this process is gone after two intervals, even
// if the gate was shut, and that lag falls at its own rate meanwhile.
func TestLocalFall(t *testing.T) {
	s := lagSettings()
	s.StoreErrors = Band{0.2, 0.6}
	w := newClockedGate(s)
	in := func(errors float64, n int64) Inputs {
		i := records(n)
		i.StoreErrors = errors
		return i
	}
	for i, step := range []struct {
		in    Inputs
		want  float64
		cause string
	}{
		{in(1, 2000), 1, CauseStoreErrors}, {in(0.3, 2000), 1, CauseStoreErrors}, {in(0, 2000), 0.5, CauseStoreErrors},
		{in(0, 0), 0.15, CauseLagRecords}, {in(0, 0), 0.05, CauseLagRecords}, {in(0, 0), 0, ""},
	} {
		if v := w.after(interval, step.in).Verdicts[0]; !near(v.Fraction, step.want) || v.Cause != step.cause {
			t.Errorf("step %d: %v %q, want %v %q", i, v.Fraction, v.Cause, step.want, step.cause)
		}
	}
}

func TestMaximumOfAll(t *testing.T) {
	s := lagSettings()
	s.Lag.Groups = []string{"indexer", "archive"}
	s.BodyMemory, s.UploadAge = Band{0.5, 1}, Band{5, 15}
	s.ProducerBuffer, s.StoreErrors, s.OpenFiles = Band{0.5, 1}, Band{0.2, 0.6}, Band{0.8, 1}
	s.EventsErrors, s.UnreadEvents = Band{0.2, 0.6}, Band{0.5, 0.9}
	for _, c := range []struct {
		in    Inputs
		want  float64
		cause string
	}{
		{Inputs{}, 0, ""},
		{Inputs{BodyMemory: 0.75}, 0.5, CauseBodyMemory},
		{Inputs{UploadAge: 14, BodyMemory: 0.75}, 0.9, CauseUploadAge},
		{Inputs{ProducerBuffer: 1}, 1, CauseProducerBuffer},
		{Inputs{StoreErrors: 0.5}, 0.75, CauseStoreErrors},
		{Inputs{EventsErrors: 0.5, StoreErrors: 0.3}, 0.75, CauseEventsErrors},
		{Inputs{UnreadEvents: 0.7, EventsErrors: 0.3}, 0.5, CauseUnreadEvents},
		{Inputs{OpenFiles: 0.95}, 0.75, CauseOpenFiles},
		{Inputs{BodyMemory: math.NaN(), UploadAge: math.Inf(1)}, 1, CauseUploadAge},
		{Inputs{BodyMemory: -1, UploadAge: -5}, 0, ""},
		{Inputs{Groups: []Reading{{Result: Read, Records: 2000}, {Result: Read, Records: 3000, Age: time.Hour}}}, 1, CauseLagAge},
		{Inputs{BodyMemory: 0.7, Groups: []Reading{{Result: Read, Records: 2000}, {Result: Read, Records: 4000}}}, 0.75, CauseLagRecords},
	} {
		v := newClockedGate(s).after(interval, c.in).Verdicts[0]
		if !near(v.Fraction, c.want) || v.Cause != c.cause {
			t.Errorf("%+v: %v %q, want %v %q", c.in, v.Fraction, v.Cause, c.want, c.cause)
		}
	}
}

// TestClasses checks that a class has its own lag thresholds, and that pressure from this
// process is the same for all classes.
func TestClasses(t *testing.T) {
	s := lagSettings()
	s.BodyMemory = Band{0.5, 1}
	s.Classes = []Class{
		{Name: "own", Records: Band{10000, 20000}, Age: Band{600, 1200}},
		{Name: "customers", Authenticated: true, Records: Band{4000, 8000}},
	}
	w := newClockedGate(s)
	check := func(in Inputs, want ...float64) {
		t.Helper()
		d := w.after(interval, in)
		for i, v := range d.Verdicts {
			if !near(v.Fraction, want[i]) || v.Class != []string{DefaultClass, "own", "customers"}[i] {
				t.Errorf("%+v: %+v, want %v", in, v, want[i])
			}
			if _, shed := w.Shed(uint8(i), math.MaxUint16); shed != (want[i] == 1) {
				t.Errorf("%+v: class %d: shed %v", in, i, shed)
			}
		}
	}
	check(records(5000), 1, 0, 0.25)
	check(records(15000), 1, 0.5, 1)
	check(Inputs{BodyMemory: 1, Groups: []Reading{{Result: Read}}}, 1, 1, 1)
	w = newClockedGate(s)
	check(Inputs{Groups: []Reading{{Result: Read, Age: 5 * time.Minute}}}, 1, 0, 1)
}

// TestInvariants drives two gates with the same readings, except that the lag of one is
// never below that of the other, and checks the invariants.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := lagSettings()
		s.BodyMemory = Band{0.5, 0.9}
		s.Lag.OnStale = StalePolicy(rapid.IntRange(0, 2).Draw(t, "policy"))
		s.Classes = []Class{{Name: "own", Records: Band{2000, 9000}, Age: Band{120, 500}}}
		less, more := newClockedGate(s), newClockedGate(s)
		var before Decision
		for range rapid.IntRange(1, 60).Draw(t, "updates") {
			gap := time.Duration(rapid.Int64Range(0, int64(3*interval)).Draw(t, "gap"))
			a := Reading{Result: Result(rapid.IntRange(0, 3).Draw(t, "result"))}
			a.Records = rapid.Int64Range(0, 10000).Draw(t, "records")
			a.Age = time.Duration(rapid.Int64Range(0, int64(10*time.Minute)).Draw(t, "age"))
			b := a
			b.Records += rapid.Int64Range(0, 3000).Draw(t, "more records")
			b.Age += time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "more age"))
			memory := rapid.Float64Range(0, 1).Draw(t, "memory")
			d := less.after(gap, Inputs{Groups: []Reading{a}, BodyMemory: memory})
			e := more.after(gap, Inputs{Groups: []Reading{b}, BodyMemory: memory})
			for i, v := range d.Verdicts {
				if v.Fraction < 0 || v.Fraction > 1 || (v.Fraction == 0) != (v.Cause == CauseOpen) {
					t.Fatalf("%+v", v)
				}
				if e.Verdicts[i].Fraction < v.Fraction-rounding {
					t.Fatalf("a higher lag sheds less: %+v, %+v", v, e.Verdicts[i])
				}
				if v.Cause != CauseOpen && !slices.Contains(Causes(), v.Cause) {
					t.Fatalf("cause %q", v.Cause)
				}
				if before.Verdicts == nil {
					continue
				}
				most := fallLocal * min(1, float64(gap)/float64(interval))
				if before.Verdicts[i].Cause != CauseBodyMemory {
					most = fallLag * min(1, float64(gap)/float64(interval))
				}
				if fell := before.Verdicts[i].Fraction - v.Fraction; fell > most+2*rounding {
					t.Fatalf("fell by %v in %s", fell, gap)
				}
			}
			before = d
		}
	})
}

// TestNoFlapping checks that between Low and High a gate that was shut stays shut, and
// that the fraction of an opening gate never rises above what the lag demands.
func TestNoFlapping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newClockedGate(lagSettings())
		f := w.after(interval, records(rapid.Int64Range(0, 8000).Draw(t, "first"))).Verdicts[0].Fraction
		shut := f == 1
		for range 50 {
			n := rapid.Int64Range(1000, 4999).Draw(t, "records")
			next := w.after(interval, records(n)).Verdicts[0].Fraction
			asked := Band{1000, 5000}.Fraction(float64(n))
			switch {
			case shut && next != 1:
				t.Fatalf("was shut, fraction %v at a lag of %d", next, n)
			case !shut && next > max(f, asked)+rounding:
				t.Fatalf("rose from %v to %v at a lag of %d", f, next, n)
			}
			f = next
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	w := newClockedGate(lagSettings())
	for b.Loop() {
		w.after(interval, records(3000))
	}
}
