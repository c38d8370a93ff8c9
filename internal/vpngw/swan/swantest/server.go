package swantest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
)

// Kinds of packets.
const (
	request = iota
	response
	unknown
	register
	unregister
	confirm
	eventUnknown
	event
)

// Server is a charon's control socket. Its fields may be changed under Change.
type Server struct {
	listener net.Listener
	ended    sync.WaitGroup

	mu      sync.Mutex
	Calls   []Call             // everything it was told, in order
	Conns   map[string]Section // configurations it has
	Shared  map[string]string  // keys it has
	SAs     []Section          // what list-sas lists: one section each, by its tunnel's name
	Refuse  map[string]string  // commands that fail, with why
	Silent  bool               // it takes commands and does not answer
	clients map[*client]bool
}

// Call is one command.
type Call struct {
	Command string
	In      Section
}

// client is one connection.
type client struct {
	conn   net.Conn
	write  sync.Mutex
	events map[string]bool // guarded by Server.mu
}

// Listen starts a server at a socket, until Close.
func Listen(socket string) (*Server, error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	s := &Server{listener: l, Conns: map[string]Section{}, Shared: map[string]string{}, Refuse: map[string]string{}, clients: map[*client]bool{}}
	s.ended.Go(s.accept)
	return s, nil
}

// Close ends it, as if charon were killed.
func (s *Server) Close() {
	s.listener.Close()
	s.mu.Lock()
	for c := range s.clients {
		c.conn.Close()
	}
	s.mu.Unlock()
	s.ended.Wait()
}

// Change calls f while nothing else looks at the fields.
func (s *Server) Change(f func(s *Server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// Told returns how often a command was given for a tunnel; "" is any.
func (s *Server) Told(command, tunnel string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.Calls {
		about := []string{c.In.Text("name"), c.In.Text("ike"), c.In.Text("child"), c.In.Text("id")}
		if len(c.In) > 0 {
			about = append(about, c.In[0].Key)
		}
		if c.Command == command && (tunnel == "" || slices.Contains(about, tunnel)) {
			n++
		}
	}
	return n
}

// Emit tells an event to who follows it.
func (s *Server) Emit(name string, m Section) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		if c.events[name] {
			c.send(event, name, m)
		}
	}
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := &client{conn: conn, events: map[string]bool{}}
		s.mu.Lock()
		s.clients[c] = true
		s.mu.Unlock()
		s.ended.Go(func() { s.serve(c) })
	}
}

func (s *Server) serve(c *client) {
	defer func() {
		c.conn.Close()
		s.mu.Lock()
		delete(s.clients, c)
		s.mu.Unlock()
	}()
	for {
		var size [4]byte
		if _, err := io.ReadFull(c.conn, size[:]); err != nil {
			return
		}
		packet := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(c.conn, packet); err != nil {
			return
		}
		d := &decoder{b: packet}
		kind, name := d.byte(), d.name()
		in := d.section()
		if d.err != nil {
			return
		}
		s.mu.Lock()
		s.answer(c, kind, name, in)
		s.mu.Unlock()
	}
}

// answer does what charon would; s.mu is held.
func (s *Server) answer(c *client, kind int, name string, in Section) {
	switch {
	case s.Silent:
		return
	case kind == register || kind == unregister:
		c.events[name] = kind == register
		c.send(confirm, "", nil)
		return
	}
	s.Calls = append(s.Calls, Call{name, in})
	if why, refused := s.Refuse[name]; refused {
		c.send(response, "", Section{{"success", "no"}, {"errmsg", why}})
		return
	}
	out := Section{}
	switch name {
	case "version":
		out = Section{{"daemon", "charon"}, {"version", "5.9.8"}}
	case "list-sas":
		if c.events["list-sa"] {
			for _, sa := range s.SAs {
				c.send(event, "list-sa", sa)
			}
		}
	case "get-conns":
		out = Section{{"conns", keys(s.Conns)}}
	case "get-shared":
		out = Section{{"keys", keys(s.Shared)}}
	case "load-conn":
		s.Conns[in[0].Key] = in[0].Value.(Section)
	case "unload-conn":
		delete(s.Conns, in.Text("name"))
	case "load-shared":
		s.Shared[in.Text("id")] = in.Text("data")
	case "unload-shared":
		delete(s.Shared, in.Text("id"))
	case "clear-creds":
		clear(s.Shared)
	}
	c.send(response, "", append(out, Field{"success", "yes"}))
}

// send writes a packet; events carry their name.
func (c *client) send(kind byte, name string, m Section) {
	packet := []byte{kind}
	if kind == event {
		packet = append(append(packet, byte(len(name))), name...)
	}
	packet = append(packet, encode(m)...)
	c.write.Lock()
	defer c.write.Unlock()
	_, _ = c.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(packet))), packet...))
}

func keys[V any](m map[string]V) []string {
	all := []string{}
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// SA is an IKE SA for SAs, with children of the given states.
func SA(tunnel string, id int, state string, children ...string) Section {
	sas := Section{}
	for i, c := range children {
		number := fmt.Sprint(id*10 + i)
		sas = append(sas, Field{tunnel + "-" + number, Section{{"name", tunnel}, {"uniqueid", number}, {"state", c}, {"encap", "yes"},
			{"spi-in", "c0" + number}, {"spi-out", "c1" + number}, {"packets-in", "7"}, {"packets-out", "8"}, {"local-ts", []string{"10.1.0.0/24"}}, {"remote-ts", []string{"10.2.0.0/24"}}}})
	}
	return Section{{tunnel, Section{{"uniqueid", fmt.Sprint(id)}, {"version", "2"}, {"state", state}, {"local-host", "198.18.1.2"}, {"local-port", "4500"},
		{"remote-host", "203.0.113.10"}, {"remote-port", "4500"}, {"local-id", "sh.lab"}, {"remote-id", "se.lab"}, {"initiator", "yes"}, {"initiator-spi", "aa"},
		{"encr-alg", "AES_GCM_16"}, {"encr-keysize", "128"}, {"prf-alg", "PRF_HMAC_SHA2_256"}, {"dh-group", "ECP_256"}, {"established", "60"}, {"rekey-time", "3000"}, {"child-sas", sas}}}}
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }
