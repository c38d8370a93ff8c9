package cli

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"causeway/internal/apiform"
	"causeway/internal/resource"
)

// parsed is the resource that a noun's create makes of flags.
func parsed(t *testing.T, n *noun, args ...string) (resource.Object, error) {
	t.Helper()
	c := &cobra.Command{}
	flags := &specFlags{command: c}
	n.flags(flags)
	if err := c.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	o := apiform.New(n.kind)
	return o, flags.apply(o)
}

func TestFlagsSayWhatFilesSay(t *testing.T) {
	for _, c := range []struct {
		noun *noun
		args []string
		want string // as -o json has it, in part
	}{
		{&popNoun, []string{"--region", "kr-seoul", "--overlay", "10.0.0.5:4600,name=ct,public=203.0.113.5:4600,mtu=1400", "--overlay", "203.0.113.6:4600"},
			`"overlay":[{"name":"ct","bind":"10.0.0.5:4600","public":"203.0.113.5:4600","mtu":1400},{"name":"wan","bind":"203.0.113.6:4600"}]`},
		{&popNoun, []string{"--address", "10.0.0.7,public=203.0.113.7,use=egress"}, `"addresses":[{"bind":"10.0.0.7","public":"203.0.113.7","use":"egress"}]`},
		{&popNoun, []string{"--relay=false"}, `"relay":false`},
		{&listenerNoun, []string{"--ports", "500,4500,5000-5010"}, `"ports":[{"from":500,"to":500},{"from":4500,"to":4500},{"from":5000,"to":5010}]`},
		{&listenerNoun, []string{"--idle-timeout", "90s"}, `"idle_timeout":"1m30s"`},
		{&listenerNoun, []string{"--allow", "192.0.2.7,2001:db8::/32"}, `"allow":["192.0.2.7/32","2001:db8::/32"]`},
		{&endpointGroupNoun, []string{"--endpoint", "198.51.100.7,weight=0", "--endpoint", "vpn.example.com"}, `"endpoints":[{"address":"198.51.100.7","weight":0},{"domain":"vpn.example.com"}]`},
		{&endpointGroupNoun, []string{"--health-check", "ike,interval=10s,down=5"}, `"health_check":{"probe":"ike","interval":"10s","down":5}`},
		{&endpointGroupNoun, []string{"--initiate", "198.51.100.7,client=192.0.2.9,ip-set=board"}, `"initiate":[{"endpoint":"198.51.100.7","client":"192.0.2.9","ip_set":"board"}]`},
		{&ipSetNoun, []string{"--address", "203.0.113.9", "--mbps", "20"}, `"address":"203.0.113.9"`},
		{&accessKeyNoun, []string{"--role", "operator"}, `"role":"operator"`},
	} {
		o, err := parsed(t, c.noun, c.args...)
		if err != nil {
			t.Errorf("%v: %v", c.args, err)
			continue
		}
		var b strings.Builder
		if err := printLine(&b, o); err != nil || !strings.Contains(b.String(), c.want) {
			t.Errorf("%v makes\n%swant in it\n%s", c.args, b.String(), c.want)
		}
	}
}

func TestFlagsThatCannotBeReadAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		noun *noun
		args []string
		want string
	}{
		{&popNoun, []string{"--overlay", "10.0.0.5"}, "--overlay"},
		{&popNoun, []string{"--overlay", "10.0.0.5:4600,nam=ct"}, "did you mean name?"},
		{&popNoun, []string{"--overlay", "10.0.0.5:4600,ct"}, "name=value"},
		{&listenerNoun, []string{"--ports", "500,http"}, "a port, or two with a dash between"},
		{&listenerNoun, []string{"--ports", "70000"}, "70000"},
		{&listenerNoun, []string{"--allow", "everyone"}, "everyone"},
		{&ipSetNoun, []string{"--address", "203.0.113.999"}, "203.0.113.999"},
		{&endpointGroupNoun, []string{"--endpoint", "198.51.100.7,weight=much"}, "weight"},
	} {
		_, err := parsed(t, c.noun, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) || CodeOf(err) != Usage {
			t.Errorf("%v gives %v", c.args, err)
		}
	}
}

func TestAnUpdateLeavesAloneWhatNoFlagNames(t *testing.T) {
	c := &cobra.Command{}
	flags := &specFlags{command: c, update: true}
	listenerNoun.flags(flags)
	if err := c.ParseFlags([]string{"--order", "off"}); err != nil {
		t.Fatal(err)
	}
	l := &resource.Listener{ListenerSpec: resource.ListenerSpec{Accelerator: "a", Repair: "economy", IdleTimeout: time.Minute, Ports: []resource.PortRange{{From: 500}}}}
	want := *l
	want.Order = "off"
	if err := flags.apply(l); err != nil || !reflect.DeepEqual(*l, want) {
		t.Errorf("got %+v, %v", l, err)
	}
	if c.Flags().Lookup("accelerator") != nil {
		t.Error("an update offers a field that never changes")
	}
}

func TestEveryKindHasItsNoun(t *testing.T) {
	have := map[resource.Kind]bool{}
	for _, n := range nouns {
		have[n.kind] = true
		names := map[string]bool{}
		for _, c := range n.commands() {
			names[c.Name()] = true
			if c.Example == "" || c.Short == "" {
				t.Errorf("%s %s has no example or no short text", n.kind, c.Name())
			}
		}
		for _, verb := range []string{"create", "get", "list", "update", "delete", "describe", "watch"} {
			if !names[verb] && (verb != "update" || n.kind != resource.KindToken) {
				t.Errorf("%s has no %s", n.kind, verb)
			}
		}
	}
	for _, k := range resource.Kinds {
		if !have[k] {
			t.Errorf("there is no command for %s", k)
		}
	}
}

// The examples of create are well-formed command lines.
func TestExamplesOfCreateParse(t *testing.T) {
	for _, n := range nouns {
		line, _, _ := strings.Cut(n.create, " > ")
		c := n.createCommand()
		if err := c.ParseFlags(strings.Fields(line)); err != nil {
			t.Errorf("causeway %s create %s: %v", n.kind, n.create, err)
		}
	}
}
