"""``training_config.yaml``: how long, in what steps, measured when; and the keys of verl that HATO sets besides."""

from __future__ import annotations

from typing import Annotated, Literal

from hierarchical_reasoning.training.config import Aggregation
from hierarchical_reasoning.training.hato.keys import LEFT_OUT, Number, Read, Section, Sets, Unused

_NO_CRITIC = Unused("there is no critic: an advantage is a reward against those of its group")
_NO_REWARD_WORKER = Unused("answers are graded in the processes that train")
_NO_REFERENCE_WORKER = Unused(
    "the model as it was at the start, where --kl_coeff asks for it, is in the processes that train"
)
_OF_GAE = Unused("it is of generalized advantage estimation, which needs a critic")


class TrainerSection(Section):
    project_name: Annotated[str, Sets("project_name")] = LEFT_OUT
    experiment_name: Annotated[str, Sets("experiment_name")] = LEFT_OUT
    logger: Annotated[
        Literal["wandb", "tensorboard", "trackio", "none"],
        Sets("report_to", by=lambda logger: () if logger == "none" else (logger,)),
    ] = LEFT_OUT
    total_epochs: Annotated[int, Sets("epochs")] = LEFT_OUT
    critic_warmup: Annotated[int, _NO_CRITIC] = LEFT_OUT
    test_freq: Annotated[int, Sets("eval_every", by=lambda every: 0 if every == -1 else every)] = LEFT_OUT
    """-1 is verl's for none on the way."""
    save_freq: Annotated[int, Sets("save_every")] = LEFT_OUT
    val_before_train: Annotated[bool, Sets("val_before_train")] = LEFT_OUT
    val_only: Annotated[bool, Sets("val_only")] = LEFT_OUT
    balance_batch: Annotated[
        bool, Unused("passes are filled up to --tokens_per_pass, whichever problems their trees are of")
    ] = LEFT_OUT
    output_dir: Annotated[str, Sets("output_dir")] = LEFT_OUT
    checkpoint_path: Annotated[str | None, Read()] = LEFT_OUT


class ResourceSection(Section):
    n_actor_worker: Annotated[
        int, Unused("processes are those that torchrun or accelerate launch starts, and each acts and learns")
    ] = LEFT_OUT
    n_critic_worker: Annotated[int, _NO_CRITIC] = LEFT_OUT
    n_rm_worker: Annotated[int, _NO_REWARD_WORKER] = LEFT_OUT
    n_ref_worker: Annotated[int, _NO_REFERENCE_WORKER] = LEFT_OUT
    actor_worker_use_gpu: Annotated[bool, Sets("device", by=lambda gpu: "auto" if gpu else "cpu")] = LEFT_OUT
    critic_worker_use_gpu: Annotated[bool, _NO_CRITIC] = LEFT_OUT
    rm_worker_use_gpu: Annotated[bool, _NO_REWARD_WORKER] = LEFT_OUT
    ref_worker_use_gpu: Annotated[bool, _NO_REFERENCE_WORKER] = LEFT_OUT
    actor_worker_gpu_memory: Annotated[
        int, Unused("what a pass takes is bounded by --tokens_per_pass, and in all by what the GPU has")
    ] = LEFT_OUT
    critic_worker_gpu_memory: Annotated[int, _NO_CRITIC] = LEFT_OUT
    rm_worker_gpu_memory: Annotated[int, _NO_REWARD_WORKER] = LEFT_OUT
    ref_worker_gpu_memory: Annotated[int, _NO_REFERENCE_WORKER] = LEFT_OUT


class FilterGroupsSection(Section):
    enable: Annotated[bool, Sets("filter_groups")] = LEFT_OUT
    metric: Annotated[
        Literal["rewards", "score", "seq_reward", "seq_final_reward", "acc"],
        Sets("filter_groups_metric", by=lambda metric: "acc" if metric == "acc" else "rewards"),
    ] = LEFT_OUT
    """verl's names of a reward are one here, but for ``seq_final_reward`` where a KL is taken off it."""
    max_num_gen_batches: Annotated[int, Sets("max_num_gen_batches")] = LEFT_OUT


class AlgorithmSection(Section):
    adv_estimator: Annotated[str, Sets("adv_estimator")] = LEFT_OUT
    gamma: Annotated[Number, _OF_GAE] = LEFT_OUT
    lam: Annotated[Number, _OF_GAE] = LEFT_OUT
    norm_adv_by_std_in_grpo: Annotated[bool, Sets("norm_adv_by_std_in_grpo")] = LEFT_OUT
    use_kl_in_reward: Annotated[bool, Sets("kl_in_reward")] = LEFT_OUT
    filter_groups: FilterGroupsSection = LEFT_OUT


class ActorSection(Section):
    clip_ratio_low: Annotated[Number, Sets("clip_ratio_low")] = LEFT_OUT
    clip_ratio_high: Annotated[Number, Sets("clip_ratio_high")] = LEFT_OUT
    loss_agg_mode: Annotated[Aggregation, Sets("loss_agg_mode")] = LEFT_OUT


class ActorRolloutRefSection(Section):
    actor: ActorSection = LEFT_OUT


class DataSection(Section):
    gen_batch_size: Annotated[int, Sets("gen_batch_size")] = LEFT_OUT
    train_batch_size: Annotated[int, Sets("batch_size")] = LEFT_OUT


class TrainingFile(Section):
    trainer: TrainerSection = LEFT_OUT
    resource: ResourceSection = LEFT_OUT
    algorithm: AlgorithmSection = LEFT_OUT
    actor_rollout_ref: ActorRolloutRefSection = LEFT_OUT
    data: DataSection = LEFT_OUT
