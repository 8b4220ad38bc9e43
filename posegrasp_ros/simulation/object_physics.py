# SPDX-License-Identifier: Apache-2.0
"""ObjectPhysics: mass and friction of an object in simulated picks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from posegrasp_ros.estimation.model_card import ModelCard

# Of a packed cardboard box, a filled bottle is more than twice as dense; friction of cardboard on rubber.
DENSITY_KG_M3, FRICTION = 400.0, 0.6


@dataclass(frozen=True)
class ObjectPhysics:
    """Mass and friction of an object; whether a grip slips depends on both.

    :param mass_kg: None: the volume times the density
    :param density_kg_m3: where no mass is known
    :param friction: Coulomb coefficient of object, fingers and table
    """

    mass_kg: float | None = None
    density_kg_m3: float = DENSITY_KG_M3
    friction: float = FRICTION

    @classmethod
    def of_card(cls, card: ModelCard) -> ObjectPhysics:
        """What a model card states, else the defaults."""
        return cls(card.mass_kg, friction=FRICTION if card.friction is None else card.friction)

    def stated(self, mass_kg: float | None = None, density_kg_m3: float | None = None,
               friction: float | None = None) -> ObjectPhysics:
        """The same with what a user states instead; a density replaces a known mass."""
        physics = self
        if density_kg_m3 is not None:
            physics = replace(physics, mass_kg=None, density_kg_m3=density_kg_m3)
        if mass_kg is not None:
            physics = replace(physics, mass_kg=mass_kg)
        return physics if friction is None else replace(physics, friction=friction)

    def density_of(self, volume_m3: float) -> float:
        """Density of an object of this volume, kg/m³."""
        return self.density_kg_m3 if self.mass_kg is None else self.mass_kg / volume_m3

    def text(self) -> str:
        """For reports."""
        mass = f'mass {self.mass_kg:g} kg' if self.mass_kg is not None else f'density {self.density_kg_m3:g} kg/m³'
        return f'friction {self.friction:g} between pads and object, {mass}'


DEFAULT_PHYSICS = ObjectPhysics()
