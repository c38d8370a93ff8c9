package repair

import "fmt"

func (e *Endpoint) Debug() string {
	o := ""
	for _, s := range e.tx {
		if s != nil {
			o += fmt.Sprintf("stream %d: repairs %d closings %d syms %d resent %d belief %.2f none %.2f; ", s.id, s.repairs, s.closings, s.closeSymbols, s.resent, s.belief.mean(), s.belief.none())
		}
	}
	return o
}
