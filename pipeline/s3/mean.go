package s3

// mean is one of the last 256 values, nearly.
type mean struct {
	value float64
	count int
}

// add adds a value, of which no more counts than eight times the usual one: one
// request that stood still says nothing of the others.
func (m *mean) add(value, usual float64) {
	if m.count < 256 {
		m.count++
	}
	if usual > 0 {
		value = min(value, 8*usual)
	}
	m.value += (value - m.value) / float64(m.count)
}
