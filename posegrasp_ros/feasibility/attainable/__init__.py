"""How accurate the pose can be: what the image of a camera says of it at best."""
