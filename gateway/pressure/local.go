package pressure

// locals is the number of pressures in the process itself.
const locals = 5

// follow brings those to their tracks.
func (g *Gate) follow(in *Inputs, step float64) {
	s := &g.settings
	for i, p := range [locals]struct {
		band  Band
		value float64
		cause string
	}{
		{s.BodyMemory, in.BodyMemory, CauseBodyMemory},
		{s.UploadAge, in.UploadAge, CauseUploadAge},
		{s.ProducerBuffer, in.ProducerBuffer, CauseProducerBuffer},
		{s.StoreErrors, in.StoreErrors, CauseStoreErrors},
		{s.OpenFiles, in.OpenFiles, CauseOpenFiles},
	} {
		g.local[i].cause = p.cause
		g.local[i].follow(p.band, p.value, step)
	}
}
