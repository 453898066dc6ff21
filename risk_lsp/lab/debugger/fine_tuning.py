"""A model learns to debug: from verified repairs (supervised), then by what its own repairs are worth (GRPO)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PrinterCallback
from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer
from trl.models import unwrap_model_for_generation

from risk_lsp.errors import BadInput
from risk_lsp.lab.debugger.adapters import (
    AdapterOptions,
    TimeBudget,
    load_base,
    new_adapter,
    newest_checkpoint,
    plot_figures,
    save_run,
    trainer_arguments,
)
from risk_lsp.lab.debugger.debugging_data import Examiner, Mistake
from risk_lsp.lab.debugger.dialogue import ChatFormat, situation_of
from risk_lsp.lab.debugger.rewards import ExplanationReward, RepairReward
from risk_lsp.repair.model_questions import SYSTEM, joint_prompt, repair_prompt

Form = Literal["explained", "direct"]
FORMS: tuple[Form, ...] = ("explained", "direct")
_TOKENS_AT_ONCE = 2048  # of a batch: what they leave behind for the way back still fits into memory
_IGNORED = -100  # the label of a token that the loss leaves out


class Lesson(NamedTuple):
    """A question about a failing program, and the answer to learn: an explanation and a repair, or the repair alone."""

    prompt: str
    answer: str


def lessons_of(mistakes: Sequence[Mistake], forms: Sequence[Form]) -> list[Lesson]:
    """A lesson from every verified repair in each of the forms that it has; equal ones once."""
    found: dict[Lesson, None] = {}
    for mistake in mistakes:
        situation = situation_of(mistake.problem, mistake.program, mistake.failure)
        for repair in mistake.repairs:
            block = f"```python\n{repair.program.rstrip()}\n```"
            if "explained" in forms and repair.explanation:
                found[Lesson(joint_prompt(situation), f"{repair.explanation}\n\n{block}")] = None
            if "direct" in forms:
                found[Lesson(repair_prompt(situation), block)] = None
    return list(found)


def train_supervised(
    mistakes: Sequence[Mistake], options: AdapterOptions, forms: Sequence[Form], *, batch: int
) -> dict[str, Any]:
    """Learn the answers of verified repairs, `batch` in a step, with the loss on answers only; returns the record.

    A run that was killed goes on from its newest checkpoint. BadInput where there is nothing to learn from, and for a
    folder whose run came to its end.
    """
    model, chat = load_base(options)
    lessons = lessons_of(mistakes, forms)
    rows = [row for lesson in lessons if len((row := _row(lesson, chat))["input_ids"]) <= options.longest]
    if not rows:
        raise BadInput(
            f"none of {len(lessons)} verified repairs fits into {options.longest} tokens",
            "synthesise more data, or allow more with --longest",
        )
    most = max(1, _TOKENS_AT_ONCE // options.longest)
    at_once = max(count for count in range(1, batch + 1) if batch % count == 0 and count <= most)
    arguments = SFTConfig(
        **trainer_arguments(options),
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=batch // at_once,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=chat.tokenizer,
        peft_config=new_adapter(options, model),
        callbacks=[TimeBudget(options, ("loss",))],
    )
    counts = {"method": "sft", "forms": list(forms), "lessons": len(lessons), "learnt": len(rows), "batch": batch}
    return _run(trainer, chat, options, counts, {"loss": "loss"})


def _row(lesson: Lesson, chat: ChatFormat) -> dict[str, list[int]]:
    """Tokens of a question and its answer, which ends; the labels leave the question out."""
    asked = chat.token_ids(lesson.prompt, SYSTEM)
    answer = [*chat.tokenizer(lesson.answer, add_special_tokens=False)["input_ids"], chat.tokenizer.eos_token_id]
    return {"input_ids": asked + answer, "labels": [_IGNORED] * len(asked) + answer}


class OneQuestionTrainer(GRPOTrainer):  # type: ignore[misc]  # trl's types are not followed
    """GRPO where the rows of a batch are answers to one question, which runs through the model once for all of them.

    Answers are drawn behind keys and values of the question that they share. To learn from them, they stand behind the
    question one after another, each at the places and with the sight that it has alone. Answers, log-probabilities and
    gradients are those of trl, for a fraction of the tokens where questions are longer than answers.
    """

    def _generate_single_turn(
        self, prompt_ids: Sequence[list[int]], *_: object, **__: object
    ) -> tuple[list[Any], None]:
        device, rows = self.accelerator.device, len(prompt_ids)
        asked = torch.tensor(prompt_ids[:1], device=device)
        with (
            unwrap_model_for_generation(
                self.model_wrapped, self.accelerator, generation_kwargs=self.generation_kwargs
            ) as model,
            torch.no_grad(),
        ):
            known = model(input_ids=asked[:, :-1], use_cache=True, logits_to_keep=1).past_key_values
            known.batch_repeat_interleave(rows)
            every = asked.expand(rows, -1)
            drawn = model.generate(
                input_ids=every,
                attention_mask=torch.ones_like(every),
                past_key_values=known,
                generation_config=self.generation_config,
            )
        answers = []
        for tokens in drawn[:, asked.shape[1] :].tolist():
            end = next(
                (place for place, token in enumerate(tokens, start=1) if token in self.eos_token_ids), len(tokens)
            )
            answers.append(tokens[:end])
        return answers, None

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **_: object,
    ) -> tuple[Tensor, Tensor | None, None]:
        rows, asked = input_ids.shape[0], input_ids.shape[1] - logits_to_keep
        question = input_ids[0, :asked][attention_mask[0, :asked].bool()]
        shared, size = len(question) - 1, logits_to_keep + 1
        # The question's last token stands before each answer, whose first token it predicts.
        answers = torch.cat([input_ids[:, asked - 1 : asked], input_ids[:, asked:]], dim=1)
        there = torch.cat([attention_mask[:, asked - 1 : asked], attention_mask[:, asked:]], dim=1).bool()
        tokens = torch.cat([question[:-1], answers.flatten()])
        owners = torch.cat([question.new_full((shared,), -1), torch.arange(rows).repeat_interleave(size).to(tokens)])
        places = torch.cat([torch.arange(shared), torch.arange(shared, shared + size).repeat(rows)]).to(tokens)
        seen = (owners < 0) | (owners == owners[:, None])
        seen &= torch.cat([question.new_ones(shared).bool(), there.flatten()])
        seen = seen.tril() | torch.eye(len(tokens), dtype=torch.bool, device=tokens.device)
        labels = torch.full_like(answers, _IGNORED)
        labels[:, 1:] = answers[:, 1:].masked_fill(~there[:, 1:], _IGNORED)
        with self.accelerator.autocast():
            found = model(
                input_ids=tokens[None],
                attention_mask=seen[None, None],
                position_ids=places[None],
                labels=torch.cat([question.new_full((shared,), _IGNORED), labels.flatten()])[None],
                fused_lm_head=True,
            )

        def of_answers(values: Tensor) -> Tensor:
            # What a token predicts stands at its place, and nothing at the last one's.
            return torch.nn.functional.pad(values[0, shared:], (0, 1)).view(rows, size)[:, :-1]

        return of_answers(found.log_probs), of_answers(found.entropy) if compute_entropy else None, None


@dataclass(frozen=True)
class ReinforcementOptions:
    """group: answers to each question, of which a step takes one question. kl: what the divergence from the model that
    it starts from counts (beta of GRPO). max_tokens, temperature: of an answer.
    """

    group: int = 8
    kl: float = 0.04
    max_tokens: int = 256
    temperature: float = 1.0


def train_reinforced(
    mistakes: Sequence[Mistake], options: AdapterOptions, forms: Sequence[Form], more: ReinforcementOptions
) -> dict[str, Any]:
    """Answer questions and learn from what the answers are worth (GRPO, arXiv 2402.03300); returns the record.

    Programs run in the sandbox alone. The reward curves are drawn to `out/rewards.png`. A run that was killed goes on
    from its newest checkpoint. BadInput where there is nothing to ask about, and for a folder whose run has ended.
    """
    model, chat = load_base(options)
    rows = []
    for index, mistake in enumerate(mistakes):
        situation = situation_of(mistake.problem, mistake.program, mistake.failure)
        for form in forms:
            question = joint_prompt(situation) if form == "explained" else repair_prompt(situation)
            text = chat.text(question, SYSTEM)
            if len(chat.tokenizer(text)["input_ids"]) + more.max_tokens <= options.longest:
                rows.append({"prompt": text, "mistake": index, "explained": form == "explained"})
    if not rows:
        raise BadInput(
            f"none of {len(mistakes)} failing programs leaves room for an answer in {options.longest} tokens",
            "synthesise more data, or allow more with --longest",
        )
    arguments = GRPOConfig(
        **trainer_arguments(options),
        per_device_train_batch_size=more.group,
        num_generations=more.group,
        max_completion_length=more.max_tokens,
        temperature=more.temperature,
        beta=more.kl,
    )
    with Examiner() as examiner:
        trainer = OneQuestionTrainer(
            model=model,
            reward_funcs=[RepairReward(mistakes, examiner), ExplanationReward(mistakes)],
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=chat.tokenizer,
            peft_config=new_adapter(options, model),
            callbacks=[TimeBudget(options, ("reward", "kl"))],
        )
        counts = {"method": "rl", "forms": list(forms), "questions": len(rows), **asdict(more)}
        curves = {
            "reward": "reward",
            "rewards/repair/mean": "repair: tests and CodeBLEU",
            "rewards/explanation/mean": "explanation",
            "kl": "KL to the model before",
        }
        return _run(trainer, chat, options, counts, curves)


def _run(
    trainer: Any, chat: ChatFormat, options: AdapterOptions, counts: dict[str, Any], curves: dict[str, str]
) -> dict[str, Any]:
    """Train from the newest checkpoint to the end, and write what came of it."""
    trainer.remove_callback(PrinterCallback)  # TimeBudget says what there is to say
    trainer.train(resume_from_checkpoint=newest_checkpoint(options.out))
    record = {**counts, "options": asdict(options)}
    figures = [step for step in trainer.state.log_history if "train_runtime" not in step]
    plot_figures(figures, curves, options.out / ("rewards.png" if "reward" in curves else "loss.png"), options.out.name)
    save_run(trainer, chat, options, record)
    return {**record, "steps": trainer.state.global_step, "figures": figures}
