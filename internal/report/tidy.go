package report

// Tidy returns p with absent lists and maps as empty ones, so that its JSON has
// [] and {} where nothing is and a reader need not tell null apart. It
// writes into p's own lists, which the caller has just made.
func (p PoP) Tidy() PoP {
	p.Overlay = orEmpty(p.Overlay)
	p.Segments = orEmpty(p.Segments)
	for i := range p.Segments {
		p.Segments[i].Wires = orEmpty(p.Segments[i].Wires)
	}
	p.Routes = orEmpty(p.Routes)
	for i := range p.Routes {
		r := &p.Routes[i]
		r.Chosen, r.Candidates = orEmpty(r.Chosen), orEmpty(r.Candidates)
		for j := range r.Candidates {
			r.Candidates[j].Via = orEmpty(r.Candidates[j].Via)
		}
	}
	p.Listeners = orEmpty(p.Listeners)
	for i := range p.Listeners {
		l := &p.Listeners[i]
		l.Addresses, l.Public, l.Groups = orEmpty(l.Addresses), orEmpty(l.Public), orEmpty(l.Groups)
		for j := range l.Groups {
			l.Groups[j].Endpoints = orEmpty(l.Groups[j].Endpoints)
		}
	}
	p.Egresses = orEmpty(p.Egresses)
	for i := range p.Egresses {
		p.Egresses[i].Endpoints = orEmpty(p.Egresses[i].Endpoints)
	}
	p.Sessions.List = orEmpty(p.Sessions.List)
	p.Allowances, p.Alarms = orEmpty(p.Allowances), orEmpty(p.Alarms)
	if p.Drops == nil {
		p.Drops = map[string]uint64{}
	}
	if p.Features == nil {
		p.Features = map[string]bool{}
	}
	return p
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
