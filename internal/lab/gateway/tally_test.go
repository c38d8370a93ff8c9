package gateway

import (
	"os"
	"path/filepath"
	"testing"
)

// Lines of strongSwan 5.9, those of another tunnel among them.
const logged = `15:06:16.938 16[ENC] <accelerated|1> generating IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(FRAG_SUP) ]
15:06:16.938 16[NET] <accelerated|1> sending packet: from 198.18.1.2[500] to 203.0.113.10[500] (264 bytes)
15:06:16.940 16[ENC] <direct|2> generating IKE_SA_INIT request 0 [ SA KE No ]
15:06:16.968 15[ENC] <accelerated|1> splitting IKE message (2380 bytes) into 3 fragments
15:06:16.968 15[NET] <accelerated|1> sending packet: from 198.18.1.2[4500] to 203.0.113.10[4500] (1236 bytes)
15:06:16.995 09[IKE] <accelerated|1> CHILD_SA accelerated{1} established with SPIs ee7b0bfd_i d0f3585a_o and TS 10.1.1.0/24 === 10.2.1.0/24
15:06:17.038 11[IKE] <accelerated|1> inbound CHILD_SA accelerated{2} established with SPIs 225d78fb_i 5aaafd9a_o and TS 10.1.1.0/24 === 10.2.1.0/24
15:06:17.038 11[IKE] <accelerated|1> outbound CHILD_SA accelerated{2} established with SPIs 225d78fb_i 5aaafd9a_o and TS 10.1.1.0/24 === 10.2.1.0/24
15:06:18.025 12[ENC] <accelerated|1> generating CREATE_CHILD_SA request 4 [ SA No KE ]
15:06:18.053 15[IKE] <accelerated|1> IKE_SA accelerated[2] rekeyed between 198.18.1.2[sh]...203.0.113.10[se]
`

func TestTheLogIsCounted(t *testing.T) {
	want := Tally{Negotiations: 1, IKERekeys: 1, ChildRekeys: 1, Fragments: 3, Largest: 1236}
	if got := TallyOf([]byte(logged), "accelerated"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	other := TallyOf([]byte(logged), "direct")
	if other != (Tally{Negotiations: 1}) {
		t.Errorf("the other tunnel: %+v", other)
	}
	if got := want.With(other); got != (Tally{Negotiations: 2, IKERekeys: 1, ChildRekeys: 1, Fragments: 3, Largest: 1236}) {
		t.Errorf("both ends: %+v", got)
	}
}

func TestTheLogIsReadFromWhereItWas(t *testing.T) {
	g := Gateway{Dir: t.TempDir()}
	if g.LogSize() != 0 {
		t.Error("there is no log yet")
	}
	if _, err := g.LogSince(0); err == nil {
		t.Error("a log that is not there was read")
	}
	file := filepath.Join(g.Dir, "charon.log")
	os.WriteFile(file, []byte("one\n"), 0o600)
	at := g.LogSize()
	os.WriteFile(file, []byte("one\ntwo\n"), 0o600)
	if got, err := g.LogSince(at); err != nil || string(got) != "two\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := g.LogSince(100); err != nil || len(got) != 0 {
		t.Errorf("a log that became shorter: %q, %v", got, err)
	}
}
