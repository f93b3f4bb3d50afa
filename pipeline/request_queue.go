package pipeline

// requestQueue is a first-in, first-out queue that keeps its memory.
type requestQueue struct {
	list []*CreditRequest // from head on
	head int
}

func (s *requestQueue) all() []*CreditRequest { return s.list[s.head:] }

func (s *requestQueue) first() *CreditRequest {
	if s.head == len(s.list) {
		return nil
	}
	return s.list[s.head]
}

func (s *requestQueue) push(r *CreditRequest) { s.list = append(s.list, r) }

func (s *requestQueue) shift() {
	s.list[s.head] = nil
	s.head++
	if s.head == len(s.list) {
		s.list, s.head = s.list[:0], 0
	}
}

// take removes the request at place i behind the first, and keeps the order.
func (s *requestQueue) take(i int) {
	copy(s.list[s.head+1:s.head+i+1], s.list[s.head:s.head+i])
	s.shift()
}

// remove removes the requests for which out returns true.
func (s *requestQueue) remove(out func(*CreditRequest) bool) {
	kept := s.list[:0]
	for _, r := range s.all() {
		if !out(r) {
			kept = append(kept, r)
		}
	}
	clear(s.list[len(kept):])
	s.list, s.head = kept, 0
}
