package smtptest

// Recorder is a Peer that records the reply lines it passes on. With it the replies of
// one dialog can be compared octet by octet between splits, even where the transcript has
// wildcards.
type Recorder struct {
	Peer
	// Lines are the lines that ReadLine returned, in order.
	Lines []string
}

// ReadLine reads from the recorded peer.
func (r *Recorder) ReadLine() (string, error) {
	line, err := r.Peer.ReadLine()
	if err == nil {
		r.Lines = append(r.Lines, line)
	}
	return line, err
}

// End ends the recorded peer if it is an Ender.
func (r *Recorder) End() (line string, ok bool, err error) {
	if ender, isEnder := r.Peer.(Ender); isEnder {
		return ender.End()
	}
	return "", false, nil
}
