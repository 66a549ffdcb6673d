package simulator

// AllRoutes and RouteOf let the conformance test see that no route was left out.

func (s *Simulator) AllRoutes() []string {
	var list []string
	for _, p := range s.plan.router.routes {
		list = append(list, p.String())
	}
	return list
}

func (s *Simulator) RouteOf(method, path string) string {
	r, _, _ := s.plan.router.find(method, path)
	for _, p := range s.plan.router.routes {
		if p.route == r {
			return p.String()
		}
	}
	return ""
}

func (p pattern) String() string {
	text := p.method
	for _, one := range p.pieces {
		name := one.text
		if one.place {
			name = "{" + name + "}"
		}
		text += "/" + name
	}
	return text
}
