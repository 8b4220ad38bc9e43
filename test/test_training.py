# SPDX-License-Identifier: Apache-2.0
"""Training samples are labelled right, and a short training run gives a whole model folder."""

import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
from hand_made_bags import frames

from posegrasp_ros.datasets.bag_writer import BagWriter
from posegrasp_ros.estimation.model_card import load_model_card
from posegrasp_ros.estimation.solve import solve_pose
from posegrasp_ros.geometry.mesh import load_mesh
from posegrasp_ros.geometry.transforms import (
    Symmetry,
    make_transform,
    random_rotation,
    rotation_angle,
    rotation_from_vector,
)
from posegrasp_ros.grasping.grasp_set import GraspError
from posegrasp_ros.runtime.errors import InvalidInputError
from posegrasp_ros.runtime.resources import resource_path
from posegrasp_ros.training.backgrounds import Backgrounds, _patterned
from posegrasp_ros.training.distractor_views import VIEWS_A_SOLID, render_distractors
from posegrasp_ros.training.photograph import photograph
from posegrasp_ros.training.rendered_views import facing_camera, half_extents, render_views, taught_side
from posegrasp_ros.training.samples import (
    CROP_MARGIN,
    CROP_SIZE,
    SCENE_SIZE,
    Placement,
    SampleMaker,
    _look_up,
)


@pytest.fixture(scope='module')
def mesh():
    return load_mesh(resource_path('models/box/mesh.obj'))


@pytest.fixture(scope='module')
def views(mesh):
    return render_views(mesh, 12, np.random.default_rng(0), progress=False)


@pytest.fixture(scope='module')
def maker(views):
    rng = np.random.default_rng(1)
    return SampleMaker(views, Backgrounds([rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)]))


def test_labels_of_a_view_solve_to_its_pose(mesh, views):
    """Turned by the placement, and read with the pinhole that a centred crop of this size has."""
    for view in views:
        placement = Placement(np.full(2, (CROP_SIZE - 1) / 2), CROP_SIZE / 2 / CROP_MARGIN, 0.7)
        steps = np.arange(1.5, CROP_SIZE, 4)
        coordinates = _look_up(view, placement, steps)
        rows, columns = np.nonzero(np.isfinite(coordinates[:, :, 0]))
        points = coordinates[rows, columns] * half_extents(mesh) + mesh.centre
        focal = placement.radius_px * view.distance_m / mesh.radius
        matrix = np.array([[focal, 0, placement.centre[0]], [0, focal, placement.centre[1]], [0, 0, 1]])
        found = solve_pose(points, np.column_stack([steps[columns], steps[rows]]), np.full(len(points), 0.001),
                           matrix).pose
        expected = rotation_from_vector((0, 0, 0.7)) @ view.centred_from_object
        assert rotation_angle(found[:3, :3] @ expected.T) < np.radians(1)
        np.testing.assert_allclose(found[:3, 3], (0, 0, view.distance_m), atol=0.01)


def test_the_same_seed_draws_the_same_samples(maker):
    first, second = (maker.crop(np.random.default_rng(5)) for _ in range(2))
    for one, other in zip(first, second):
        np.testing.assert_array_equal(one, other)


def test_a_crop_shows_the_object_and_knows_where(maker):
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(30):
        picture, visible, coordinates, to_camera = maker.crop(rng)
        assert np.linalg.norm(to_camera) == pytest.approx(1)
        assert picture.shape == (CROP_SIZE, CROP_SIZE, 3) and picture.dtype == np.uint8
        assert (np.abs(coordinates[visible]) < 1.05).all()
        shares.append(visible.mean())
    assert 0.05 < np.mean(shares) < 0.6


def test_scenes_have_up_to_four_objects_inside_the_picture(maker):
    rng = np.random.default_rng(3)
    counts = []
    for _ in range(60):
        picture, objects = maker.scene(rng)
        assert picture.shape == (SCENE_SIZE[1], SCENE_SIZE[0], 3)
        counts.append(len(objects))
        assert ((objects[:, :2] > 0) & (objects[:, :2] < SCENE_SIZE)).all()
    assert {0, 1, 2, 3} <= set(counts) <= {0, 1, 2, 3, 4}


def test_auto_exposure_brings_dark_and_bright_scenes_to_one_level():
    """Most pictures are exposed so; the others and the tone curve spread the rest."""
    rng = np.random.default_rng(6)
    levels = [[photograph(rng, np.full((64, 64, 3), light, np.float32)).mean() for _ in range(200)]
              for light in (50, 200)]
    dark, bright = np.median(levels, axis=1)
    assert dark < bright < 2 * dark


def test_distractors_are_solids_of_many_shapes():
    views = render_distractors(np.random.default_rng(8), count=6, progress=False)
    shares = [np.isfinite(view.coordinates[:, :, 0]).mean() for view in views]
    assert len(views) == 6 * VIEWS_A_SOLID and min(shares) > 0.02
    assert np.ptp(shares) > 0.1  # thin and round ones


def test_patterned_backgrounds_have_strong_edges():
    rng = np.random.default_rng(7)
    images = [_patterned(rng, 128) for _ in range(20)]
    assert {(image.shape, image.dtype.name) for image in images} == {((128, 128, 3), 'uint8')}
    steepest = [np.percentile(np.abs(np.diff(image.astype(float), axis=1)).max(axis=2), 99) for image in images]
    assert np.median(steepest) > 60


def test_a_symmetric_object_is_always_shown_from_the_same_side(mesh):
    can = Symmetry.generated(axis=(0, 0, 1))
    rng = np.random.default_rng(6)
    for _ in range(20):
        rotation = random_rotation(rng)
        taught = facing_camera(can, rotation)
        to_camera = -taught[2]
        side, axis = taught_side(can.axis), can.axis
        assert to_camera @ side >= 0 and abs(to_camera @ np.cross(axis, side)) < 1e-9
        np.testing.assert_allclose(taught @ axis, rotation @ axis, atol=1e-9)  # it looks the same


class TestFitting:
    """What needs PyTorch."""

    @pytest.fixture(autouse=True)
    def torch(self):
        return pytest.importorskip('torch', reason='training needs PyTorch: pip install -e .[train]')

    def test_an_exported_network_goes_on_where_it_was(self, torch, tmp_path):
        from posegrasp_ros.training.networks import CoordinateNetwork
        from posegrasp_ros.training.start import start_from
        from posegrasp_ros.training.training_run import export

        torch.manual_seed(0)
        old, new = CoordinateNetwork(), CoordinateNetwork()
        sample = torch.randn(8, 3, CROP_SIZE, CROP_SIZE)
        old.train()(sample)  # batch norms that are not the identity
        export(old, (1, 3, CROP_SIZE, CROP_SIZE), tmp_path / 'old.onnx')
        start_from(new, tmp_path / 'old.onnx', sample)
        with torch.no_grad():
            expected, _ = old.eval()(sample)
            found, _ = new.eval()(sample)
            trained, _ = new.train()(sample)
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(trained, expected, atol=1e-3, rtol=1e-3)  # its batch statistics fit too

    def test_another_architecture_is_refused(self, torch, tmp_path):
        from posegrasp_ros.training.networks import CoordinateNetwork
        from posegrasp_ros.training.start import start_from

        with pytest.raises(InvalidInputError, match='expected weights of'):
            start_from(CoordinateNetwork(), resource_path('models/box/detector.onnx'), torch.zeros(1, 3, 128, 128))

    def test_an_interrupted_fit_goes_on(self, torch, maker, tmp_path):
        from posegrasp_ros.training.checkpoint import Checkpoint
        from posegrasp_ros.training.fit import DETECTION, fit
        from posegrasp_ros.training.networks import Detector

        file = tmp_path / 'detector.checkpoint'
        first = fit(Detector(), DETECTION, maker, 1.0, 0, Checkpoint(file, {'minutes': 1}), progress=False)
        network = Detector()
        spent_s = Checkpoint(file, {'minutes': 1}).load(network, torch.optim.AdamW(network.parameters())).seconds
        longer_s = spent_s + 0.1  # time for one batch more, on whatever machine
        second = fit(Detector(), DETECTION, maker, longer_s, 0, Checkpoint(file, {'minutes': 1}), progress=False)
        assert second['images'] > first['images'] > 0
        done = fit(Detector(), DETECTION, maker, longer_s, 0, Checkpoint(file, {'minutes': 1}), progress=False)
        assert done == second  # nothing is left to do
        with pytest.raises(InvalidInputError, match='minutes: the interrupted training had 1, this one has 2'):
            fit(Detector(), DETECTION, maker, longer_s, 0, Checkpoint(file, {'minutes': 2}), progress=False)

    def test_a_fit_that_is_told_to_end_has_lost_nothing(self, torch, maker, tmp_path):
        from posegrasp_ros.training.checkpoint import Checkpoint
        from posegrasp_ros.training.fit import DETECTION, fit
        from posegrasp_ros.training.networks import Detector

        checkpoint = Checkpoint(tmp_path / 'detector.checkpoint', {})
        timer = threading.Timer(2.0, signal.raise_signal, [signal.SIGINT])
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            fit(Detector(), DETECTION, maker, 60.0, 0, checkpoint, progress=False)
        network = Detector()
        assert checkpoint.load(network, torch.optim.AdamW(network.parameters())).images > 0

    def test_of_poses_that_look_alike_the_nearest_counts(self, torch, mesh):
        from posegrasp_ros.training.fit import coordinate_loss

        half_turn = Symmetry.generated([make_transform(rotation_from_vector((0, 0, np.pi)))])
        visible, coordinates = torch.ones(1, 4, 4, dtype=torch.bool), torch.rand(1, 4, 4, 3)
        to_camera = torch.tensor([[0.6, 0.0, 0.8]])
        turned = torch.tensor([-1.0, -1.0, 1.0])
        read = torch.cat([torch.full((1, 1, 4, 4), 9.0), (coordinates * turned).permute(0, 3, 1, 2),
                          torch.full((1, 1, 4, 4), -3.0)], dim=1)
        view = torch.cat([to_camera * turned, torch.tensor([[-3.0]])], dim=1)
        forgiving, strict = (coordinate_loss(discrete, mesh)((read, view), visible, coordinates, to_camera)
                             for discrete in (half_turn.discrete, np.eye(4)[None]))
        assert forgiving < -9 < strict


def interrupt(*_):
    raise KeyboardInterrupt


def no_grasps(*_):
    raise GraspError('none wanted')


def test_a_short_training_run_writes_a_folder_that_loads_though_measuring_was_interrupted(tmp_path, monkeypatch):
    pytest.importorskip('torch', reason='training needs PyTorch: pip install -e .[train]')
    pytest.importorskip('skimage', reason='training needs scikit-image: pip install -e .[train]')
    from posegrasp_ros.estimation.estimator import PoseEstimator
    from posegrasp_ros.training import backgrounds, measure, staging, training_run

    monkeypatch.setattr(backgrounds, 'SIMULATED_SCENES', 2)
    monkeypatch.setattr(measure, 'SCENES_A_KIND', 1)
    monkeypatch.setattr(measure, 'HELD_OUT', 1)
    options = training_run.TrainingOptions(minutes=0.1, views=10, progress=False)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(measure, 'measure', interrupt)
        with pytest.raises(KeyboardInterrupt):
            training_run.train(resource_path('models/box/mesh.obj'), tmp_path / 'tiny', options)
    assert [path.name for path in (tmp_path / 'tiny').iterdir()] == [training_run.STAGE], 'nothing looks whole'
    interrupted_at = load_model_card(tmp_path / 'tiny' / training_run.STAGE).provenance
    training_run.train(resource_path('models/box/mesh.obj'), tmp_path / 'tiny', replace(options, resume=True))
    card = load_model_card(tmp_path / 'tiny')
    for part in ('detector', 'network'):
        assert card.provenance[part]['images'] == interrupted_at[part]['images'] > 0, 'nothing is fitted anew'
    assert card.measured['recall'] is not None
    assert card.grasps_path.is_file() and not (tmp_path / 'tiny' / training_run.STAGE).exists()
    assert 'box/model.onnx' in card.provenance['network']['started_from']
    PoseEstimator(card)
    before = {path.name: path.read_bytes() for path in (tmp_path / 'tiny').iterdir()}
    only = replace(options, minutes=0.05, seed=1, only='network', start='none')
    with monkeypatch.context() as interrupted:
        interrupted.setattr(measure, 'measure', interrupt)
        with pytest.raises(KeyboardInterrupt):
            training_run.train(tmp_path / 'tiny' / 'mesh.obj', tmp_path / 'tiny', only)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / 'tiny').iterdir() if path.is_file()}
    with monkeypatch.context() as interrupted:
        interrupted.setattr(staging, 'write_whole', interrupt)
        with pytest.raises(KeyboardInterrupt):
            training_run.train(tmp_path / 'tiny' / 'mesh.obj', tmp_path / 'tiny', replace(only, resume=True))
    assert not (tmp_path / 'tiny' / 'model.yaml').exists(), 'half of it is the former model'
    training_run.train(tmp_path / 'tiny' / 'mesh.obj', tmp_path / 'tiny', replace(only, resume=True))
    again = load_model_card(tmp_path / 'tiny')
    assert before['detector.onnx'] == (tmp_path / 'tiny' / 'detector.onnx').read_bytes()
    assert before['mesh.obj'] == (tmp_path / 'tiny' / 'mesh.obj').read_bytes()
    assert again.network_sha256 != card.network_sha256
    assert '--only network' in again.provenance['network']['trained_by']


@pytest.mark.slow
def test_a_training_like_a_recording_says_so_and_does_not_go_on_with_another(tmp_path, monkeypatch, capsys):
    pytest.importorskip('torch', reason='training needs PyTorch: pip install -e .[train]')
    pytest.importorskip('skimage', reason='training needs scikit-image: pip install -e .[train]')
    from posegrasp_ros.training import backgrounds, measure, staging, training_run

    monkeypatch.setattr(backgrounds, 'SIMULATED_SCENES', 2)
    monkeypatch.setattr(backgrounds, 'PROCEDURAL_IMAGES', 2)
    monkeypatch.setattr(staging, 'sample_grasps', no_grasps)
    monkeypatch.setattr(measure, 'measure', interrupt)
    bags = [tmp_path / name / 'my_bag' for name in ('first', 'second')]
    for bag, count in zip(bags, (20, 21)):
        bag.parent.mkdir()
        with BagWriter(bag) as writer:
            for frame in frames(count):
                writer.write(frame)
    options = training_run.TrainingOptions(minutes=0.03, views=4, progress=False, start='none', like=(bags[0],))
    mesh_path = resource_path('models/box/mesh.obj')
    with pytest.raises(KeyboardInterrupt):
        training_run.train(mesh_path, tmp_path / 'tiny', options)
    assert 'the camera of 20 frames of my_bag' in capsys.readouterr().err
    provenance = load_model_card(tmp_path / 'tiny' / training_run.STAGE).provenance['network']
    assert provenance['data'] == ('synthetic images of the mesh, like 20 frames of my_bag, 20 of them as '
                                  'backgrounds')
    assert provenance['trained_by'].endswith('--like my_bag') and provenance['camera']['jpeg_quality'] == 95
    with pytest.raises(InvalidInputError, match=r'like: .* had my_bag .*, this one has my_bag'):
        training_run.train(mesh_path, tmp_path / 'tiny', replace(options, like=(bags[1],), resume=True))
    with pytest.raises(InvalidInputError, match='the interrupted training had'):
        training_run.train(mesh_path, tmp_path / 'tiny', replace(options, like=(), resume=True))
