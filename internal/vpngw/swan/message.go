package swan

import (
	"strconv"

	"github.com/strongswan/govici/vici"
)

// message makes a message of keys and values. Values that are "" or empty are
// left out, as charon takes a key without a value for a wrong one.
func message(pairs ...any) *vici.Message {
	m := vici.NewMessage()
	for i := 0; i+1 < len(pairs); i += 2 {
		switch v := pairs[i+1].(type) {
		case string:
			if v == "" {
				continue
			}
		case []string:
			if len(v) == 0 {
				continue
			}
		}
		if err := m.Set(pairs[i].(string), pairs[i+1]); err != nil {
			panic("swan: " + err.Error()) // a type that no caller here has
		}
	}
	return m
}

// text returns a value, or "" where there is none.
func text(m *vici.Message, key string) string {
	s, _ := m.Get(key).(string)
	return s
}

func texts(m *vici.Message, key string) []string {
	switch v := m.Get(key).(type) {
	case []string:
		return v
	case string:
		return []string{v}
	}
	return nil
}

func number(m *vici.Message, key string) uint64 {
	n, _ := strconv.ParseUint(text(m, key), 10, 64)
	return n
}

func seconds(m *vici.Message, key string) float64 { return float64(number(m, key)) }

func yes(m *vici.Message, key string) bool { return text(m, key) == "yes" }

// sections returns the names of m's sections and these, in their order.
func sections(m *vici.Message) (names []string, all []*vici.Message) {
	for _, key := range m.Keys() {
		if s, ok := m.Get(key).(*vici.Message); ok {
			names, all = append(names, key), append(all, s)
		}
	}
	return names, all
}
