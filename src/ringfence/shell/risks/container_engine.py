"""A container engine or cluster acts outside this boundary.

Who commands a container engine commands the machine: mounts of `/`, privileged containers, other sockets
and contexts (`docker -H`). In a cluster it is somebody else's machine.
"""

NAME = "container-engine"
TITLE = "A container engine or cluster acts outside this boundary"
ADVICE = "Leave the option out; mount folders of the project only."
EXAMPLE = "docker -H tcp://host:2375 ps"
HARMLESS = "docker ps"
